"""Create and change strategies, each change in one transaction with its audit entries."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection

from app.audit.service import AuditEntry
from app.errors import Forbidden
from app.identity.rules.access import Caller, Operation
from app.identity.service.change_executor import ChangeRequest, ChangeResult
from app.ids import SortableIds
from app.instruments.queries import load_symbol
from app.ledger.service.portfolio_lookup import require_portfolio
from app.risk.service.limit_store import remove_limit, serialize_limit_values, set_limit
from app.strategies.errors import (
    NoSuchStrategy,
    StrategyExists,
    StrategyHasNoCode,
    StrategyIsRunning,
    TooManyStrategies,
    build_field_error,
)
from app.strategies.queries import registry as queries
from app.strategies.queries.registry import STRATEGIES, VERSIONS, ListedStrategy
from app.strategies.rules.parameters import parse_parameters, serialize_parameters
from app.strategies.rules.requests import LimitRequest, NewStrategy
from app.strategies.rules.values import (
    MANUAL,
    Strategy,
    StrategyKind,
    StrategyMode,
    StrategyStatus,
    StrategyVersion,
)
from app.strategies.service.code_inspection import Inspected, require_code
from app.strategies.service.presentation import serialize_strategy

MAX_STRATEGIES = 500  # per tenant
_IDS = SortableIds("G")
_VERSIONED_FIELDS = ("entry_point", "code_hash", "symbols", "interval", "parameters")
_LOCKED_FIELDS = ("entry_point", "portfolio", "symbols", "interval", "mode")  # while it is active
_TRADER_FIELDS = frozenset({"parameters"})


class PortfolioOfMode(NamedTuple):
    """A portfolio whose kind is the mode of a strategy."""

    id: int
    name: str


class StrategyRegistry:
    """Creates and changes strategies. Its functions run in the transaction of a request.

    `inspected` has their code, which was inspected before.
    """

    def __init__(self, inspected: Inspected) -> None:
        self._inspected = inspected

    def create(
        self, connection: Connection, request: ChangeRequest, new: NewStrategy, now: datetime
    ) -> ChangeResult:
        """Create a strategy, INACTIVE. Raises Invalid, StrategyExists or TooManyStrategies."""
        caller = request.caller
        if new.name == MANUAL or queries.find_strategy(connection, caller.tenant_id, new.name) is not None:
            raise StrategyExists(f"There is a strategy {new.name!r} already; choose another name.")
        if STRATEGIES.count(connection, tenant_id=caller.tenant_id) >= MAX_STRATEGIES:
            raise TooManyStrategies(
                f"A tenant has at most {MAX_STRATEGIES} strategies; change an existing one."
            )
        code = require_code(self._inspected, new.entry_point)
        values = parse_parameters(code.parameters, new.parameters)
        portfolio = _require_matching_portfolio(connection, caller, new.portfolio, new.mode)
        strategy = Strategy(
            tenant_id=caller.tenant_id,
            name=new.name,
            id=_IDS.generate(caller.tenant_id, now),
            kind=StrategyKind.CODE,
            entry_point=code.entry_point,
            code_hash=code.code_hash,
            portfolio_id=portfolio.id,
            symbols=_resolve_symbols(connection, caller, new.symbols),
            interval=new.interval,
            parameters=serialize_parameters(values),
            mode=new.mode,
            status=StrategyStatus.INACTIVE,
            created_by=caller.actor,
            created_at=now,
            updated_by=caller.actor,
            updated_at=now,
        )
        STRATEGIES.insert(connection, strategy)
        VERSIONS.insert(connection, _build_version(strategy))
        entries = [
            request.build_audit_entry(
                now, "strategy.created", _build_target(strategy), None, _build_audit_values(strategy)
            )
        ]
        entries += _set_limits(connection, request, new.limits, now)
        listed_strategy = ListedStrategy(strategy, portfolio.name, None)
        return ChangeResult(
            serialize_strategy(connection, listed_strategy, {code.entry_point: code}), entries, 201
        )

    def update(
        self,
        connection: Connection,
        request: ChangeRequest,
        name: str,
        changes: Mapping[str, Any],
        now: datetime,
    ) -> ChangeResult:
        """Change a strategy. A change of code, parameters, symbols or interval makes a new version.

        Raises Invalid, StrategyIsRunning or Forbidden.
        """
        caller = request.caller
        listed_strategy = require_strategy(connection, caller, name, locks=True)
        strategy = listed_strategy.strategy
        _require_change_allowed(caller, strategy, changes)
        code = require_code(self._inspected, changes.get("entry_point", strategy.entry_point))
        parameters = {**orjson.loads(strategy.parameters), **changes.get("parameters", {})}
        values: dict[str, Any] = {
            "parameters": serialize_parameters(parse_parameters(code.parameters, parameters)),
            "updated_by": caller.actor,
            "updated_at": now,
        }
        if "entry_point" in changes:
            values |= {"entry_point": code.entry_point, "code_hash": code.code_hash}
        if "symbols" in changes:
            values["symbols"] = _resolve_symbols(connection, caller, changes["symbols"])
        if "interval" in changes:
            values["interval"] = changes["interval"]
        portfolio_name_after = listed_strategy.portfolio_name
        if changes.keys() & {"portfolio", "mode"}:
            mode = changes.get("mode", strategy.mode)
            portfolio_name = changes.get("portfolio", listed_strategy.portfolio_name)
            portfolio = _require_matching_portfolio(connection, caller, portfolio_name, mode)
            values |= {"portfolio_id": portfolio.id, "mode": mode}
            portfolio_name_after = portfolio.name
        updated = strategy._replace(**values)
        if any(getattr(updated, name) != getattr(strategy, name) for name in _VERSIONED_FIELDS):
            values["version"] = strategy.version + 1
            updated = updated._replace(version=strategy.version + 1)
            VERSIONS.insert(connection, _build_version(updated))
        queries.update_strategy(connection, strategy, values)
        before, after = _build_audit_values(strategy), _build_audit_values(updated)
        entries = [request.build_audit_entry(now, "strategy.updated", _build_target(strategy), before, after)]
        entries += _set_limits(connection, request, changes.get("limits", ()), now)
        updated_listing = ListedStrategy(updated, portfolio_name_after, listed_strategy.portfolio_name_key)
        return ChangeResult(
            serialize_strategy(connection, updated_listing, {code.entry_point: code}), entries
        )


def require_strategy(
    connection: Connection, caller: Caller, name: str, *, locks: bool = False
) -> ListedStrategy:
    """Return a strategy that the caller may see. Raises NoSuchStrategy."""
    strategy = queries.find_strategy(connection, caller.tenant_id, name, locks=locks)
    if strategy is None or not (
        strategy.portfolio_name_key is None or caller.can_see(strategy.portfolio_name_key)
    ):
        raise NoSuchStrategy(name)
    return strategy


def _require_change_allowed(caller: Caller, strategy: Strategy, changes: Mapping[str, Any]) -> None:
    if strategy.kind is StrategyKind.SIGNALS:
        raise StrategyHasNoCode
    if not changes.keys() <= _TRADER_FIELDS and not caller.is_allowed(Operation.MANAGE_STRATEGIES):
        raise Forbidden("Only an administrator may change more than the parameters of a strategy.")
    locked = [name for name in _LOCKED_FIELDS if name in changes]
    if strategy.status is StrategyStatus.ACTIVE and locked:
        names = ", ".join(f"`{name}`" for name in locked)
        raise StrategyIsRunning(f"Pause or stop the strategy before you change {names}.")


def _require_matching_portfolio(
    connection: Connection, caller: Caller, name: str | None, mode: StrategyMode
) -> PortfolioOfMode:
    """Return the portfolio. Raises Invalid if it does not exist or is not of the mode."""
    portfolio = require_portfolio(connection, caller, name or "", "portfolio")
    kind = queries.load_portfolio_kind(connection, caller.tenant_id, portfolio.id)
    if kind != mode:
        message = f"The portfolio is a {kind} one; `mode` must be `{kind}`."
        raise build_field_error("mode", message, "not_of_the_portfolio")
    return PortfolioOfMode(portfolio.id, portfolio.name)


def _resolve_symbols(connection: Connection, caller: Caller, names: tuple[str, ...]) -> str:
    return " ".join(sorted({load_symbol(connection, caller.tenant_id, name) for name in names}))


def _build_version(strategy: Strategy) -> StrategyVersion:
    return StrategyVersion(
        tenant_id=strategy.tenant_id,
        strategy=strategy.name,
        version=strategy.version,
        entry_point=strategy.entry_point or "",
        code_hash=strategy.code_hash or "",
        symbols=strategy.symbols or "",
        interval=strategy.interval or "",
        parameters=strategy.parameters,
        created_by=strategy.updated_by,
        created_at=strategy.updated_at,
    )


def _set_limits(
    connection: Connection, request: ChangeRequest, limits: Sequence[LimitRequest], now: datetime
) -> list[AuditEntry]:
    """Set or remove limits of the strategy, and return the audit entries."""
    caller, entries = request.caller, []
    for limit, is_removed in limits:
        change = (remove_limit if is_removed else set_limit)(connection, caller.tenant_id, limit)
        action = "limit.removed" if is_removed else "limit.set"
        target = f"{limit.code}:{limit.scope}:{limit.name}"
        before, after = serialize_limit_values(change.before), serialize_limit_values(change.after)
        entries.append(request.build_audit_entry(now, action, target, before, after))
    return entries


def _build_target(strategy: Strategy) -> str:
    return f"strategy:{strategy.name}"


def _build_audit_values(strategy: Strategy) -> dict[str, Any]:
    return {
        "entry_point": strategy.entry_point,
        "code": strategy.code_hash,
        "portfolio_id": strategy.portfolio_id,
        "symbols": strategy.symbols,
        "interval": strategy.interval,
        "parameters": strategy.parameters,
        "mode": strategy.mode.value,
        "version": strategy.version,
    }
