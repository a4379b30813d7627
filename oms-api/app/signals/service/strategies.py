"""Set and delete the rules of strategies, each in one transaction with its audit entry."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from app.audit.rules.entries import AuditValues
from app.identity.service.change_executor import ChangeRequest, ChangeResult
from app.instruments.queries import load_symbol
from app.ledger.service.portfolio_lookup import require_portfolio
from app.signals.errors import NoSuchStrategyRules, build_field_error
from app.signals.queries import strategies as queries
from app.signals.rules.serialization import serialize_size
from app.signals.rules.values import StrategyRules
from app.strategies.rules.values import MANUAL
from app.strategies.service.signal_strategies import ensure_signal_strategy, remove_signal_strategy
from app.timestamps import format_timestamp


def set_strategy_rules(connection: Connection, request: ChangeRequest, rules: StrategyRules) -> ChangeResult:
    """Insert or replace the rules of a strategy. Raises Invalid if the caller sees no such portfolio."""
    if rules.name == MANUAL:
        raise build_field_error(
            "strategy_name", "`manual` is the strategy of orders without one.", "reserved"
        )
    caller, name = request.caller, rules.portfolio_name
    portfolio = None if name is None else require_portfolio(connection, caller, name, "portfolio")
    previous = queries.find_strategy_rules(connection, caller.tenant_id, rules.name)
    symbols = sorted({load_symbol(connection, caller.tenant_id, symbol) for symbol in rules.symbols or ()})
    stored_rules = rules._replace(
        portfolio_name=None if portfolio is None else portfolio.name,
        symbols=tuple(symbols) if symbols else None,
    )
    portfolio_id = None if portfolio is None else portfolio.id
    queries.upsert_strategy_rules(connection, stored_rules, portfolio_id)
    ensure_signal_strategy(
        connection, caller.tenant_id, rules.name, portfolio_id, rules.updated_by, rules.updated_at
    )
    before = None if previous is None else _build_audit_values(previous)
    target = f"signal_strategy:{rules.name}"
    entry = request.build_audit_entry(
        rules.updated_at, "signal_strategy.set", target, before, _build_audit_values(stored_rules)
    )
    return ChangeResult(serialize_strategy_rules(stored_rules), [entry])


def delete_strategy_rules(
    connection: Connection, request: ChangeRequest, name: str, now: datetime
) -> ChangeResult:
    """Delete the rules of a strategy. Raises NoSuchStrategyRules."""
    previous = queries.find_strategy_rules(connection, request.caller.tenant_id, name)
    if previous is None:
        raise NoSuchStrategyRules(name)
    queries.delete_strategy_rules(connection, previous.tenant_id, name)
    remove_signal_strategy(connection, previous.tenant_id, name)
    entry = request.build_audit_entry(
        now, "signal_strategy.deleted", f"signal_strategy:{name}", _build_audit_values(previous), None
    )
    return ChangeResult({}, [entry], 204)


def serialize_strategy_rules(rules: StrategyRules) -> dict[str, Any]:
    """Return the rules of a strategy as `StrategyRulesOut` describes them."""
    return {
        "name": rules.name,
        "portfolio": rules.portfolio_name,
        "mode": rules.mode,
        "size": None if rules.size is None else serialize_size(rules.size),
        "symbols": None if rules.symbols is None else list(rules.symbols),
        "updated_by": rules.updated_by,
        "updated_at": format_timestamp(rules.updated_at),
    }


def _build_audit_values(rules: StrategyRules) -> AuditValues:
    size = None if rules.size is None else f"{rules.size.kind} {rules.size.value or ''}".strip()
    symbols = None if rules.symbols is None else " ".join(rules.symbols)
    return {"portfolio": rules.portfolio_name, "mode": str(rules.mode), "size": size, "symbols": symbols}
