"""Create and rename portfolios on request. A first trade creates a portfolio too."""

from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import Connection

from app.identity.queries.tenants import find_opening_cash
from app.identity.service.idempotent_operations import Change, OperationContext
from app.ids import new_row_id
from app.ledger.errors import NoSuchPortfolio, PortfolioExists
from app.ledger.queries import managing as queries
from app.ledger.queries import reading
from app.ledger.rules.chain import GENESIS
from app.ledger.service.reading import build_summary
from app.ledger.service.trade_guard import Guard
from app.money import ZERO, fixed, money_text
from app.text import name_key


class NewPortfolio(NamedTuple):
    """A paper portfolio to create.

    `opening_cash` is in its base currency, None for the tenant's default.
    """

    name: str
    base_currency: str
    opening_cash: Decimal | None
    cost_schedule: str


class PortfolioChanges(NamedTuple):
    """What is to be changed in a portfolio; None leaves it as it is."""

    name: str | None
    cost_schedule: str | None


def create_portfolio(
    connection: Connection, context: OperationContext, portfolio: NewPortfolio, guard: Guard, now: datetime
) -> Change:
    """Create an empty portfolio with the trading state that kill switches require.

    Raises PortfolioExists; names are case-insensitive.
    """
    tenant_id, key = context.caller.tenant_id, name_key(portfolio.name)
    if queries.find_settings(connection, tenant_id, key) is not None:
        raise PortfolioExists(portfolio.name)
    cash = portfolio.opening_cash
    if cash is None:
        cash = find_opening_cash(connection, [tenant_id])[tenant_id]
    queries.insert_portfolio(
        connection,
        portfolio._asdict()
        | {
            "id": new_row_id(),
            "tenant_id": tenant_id,
            "name_key": key,
            "kind": "paper",
            "opening_cash": cash,
            "cash": cash,
            "trading_state": guard.opening_state(connection, tenant_id, key),
        }
        | {"realized_pnl": ZERO, "total_trades": 0, "total_buys": 0, "last_sequence": 0}
        | {"last_hash": GENESIS, "created_at": now},
    )
    facts = portfolio._asdict() | {"opening_cash": money_text(fixed(cash))}
    entry = context.entry(now, "portfolio.created", _target(portfolio.name), None, facts)
    return Change(_facts(connection, tenant_id, key), [entry], 201)


def update_portfolio(
    connection: Connection,
    context: OperationContext,
    name: str,
    changes: PortfolioChanges,
    guard: Guard,
    now: datetime,
) -> Change:
    """Change a portfolio's name, its cost schedule, or both.

    Its ledger, positions, grants, limits and kill switch are kept. Raise NoSuchPortfolio or PortfolioExists.
    """
    tenant_id, key = context.caller.tenant_id, name_key(name)
    previous = queries.find_settings(connection, tenant_id, key)
    if previous is None:
        raise NoSuchPortfolio(name)
    entries = []
    if changes.name is not None and changes.name != previous.name:
        _rename(connection, tenant_id, key, changes.name, guard)
        key = name_key(changes.name)
        before, after = {"name": previous.name}, {"name": changes.name}
        entries.append(context.entry(now, "portfolio.renamed", _target(previous.name), before, after))
    schedule = changes.cost_schedule
    if schedule is not None and schedule != previous.cost_schedule:
        queries.set_cost_schedule(connection, tenant_id, key, schedule)
        current = changes.name or previous.name
        before = {"name": current, "cost_schedule": previous.cost_schedule}
        after = {"name": current, "cost_schedule": schedule}
        entries.append(context.entry(now, "portfolio.updated", _target(current), before, after))
    return Change(_facts(connection, tenant_id, key), entries)


def _rename(connection: Connection, tenant_id: int, key: str, new_name: str, guard: Guard) -> None:
    new_key = name_key(new_name)
    if new_key != key and queries.find_settings(connection, tenant_id, new_key) is not None:
        raise PortfolioExists(new_name)
    queries.rename_portfolio(connection, tenant_id, key, new_name, new_key)
    guard.rename(connection, tenant_id, key, new_key, new_name)


def _facts(connection: Connection, tenant_id: int, key: str) -> dict[str, Any]:
    book, _ = reading.find_books(connection, tenant_id, [key])[key]
    return build_summary(book)


def _target(name: str) -> str:
    return f"portfolio:{name}"
