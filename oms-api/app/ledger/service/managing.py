"""Portfolios that somebody makes, or renames. (A first trade makes one too.)"""

from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import Connection

from app.identity.service.idempotent_operations import Change, OperationContext
from app.ids import new_row_id
from app.ledger.errors import NoSuchPortfolio, PortfolioExists
from app.ledger.queries import managing as queries
from app.ledger.queries import reading
from app.ledger.rules.chain import GENESIS
from app.ledger.service.reading import summary
from app.ledger.service.trade_guard import Guard
from app.money import ZERO, fixed, money_text
from app.text import name_key


class NewPortfolio(NamedTuple):
    """A paper portfolio to be made; `opening_cash` is in its base currency."""

    name: str
    base_currency: str
    opening_cash: Decimal


def create_portfolio(
    connection: Connection, context: OperationContext, parameters: NewPortfolio, guard: Guard, now: datetime
) -> Change:
    """Make an empty portfolio, stopped where a kill switch says so. Raises PortfolioExists; names are the
    same whatever their case.
    """
    tenant_id, key = context.caller.tenant_id, name_key(parameters.name)
    if queries.name_of(connection, tenant_id, key) is not None:
        raise PortfolioExists(parameters.name)
    queries.store_portfolio(
        connection,
        parameters._asdict()
        | {
            "id": new_row_id(),
            "tenant_id": tenant_id,
            "name_key": key,
            "kind": "paper",
            "cash": parameters.opening_cash,
            "trading_state": guard.opening_state(connection, tenant_id, key),
        }
        | {"realized_pnl": ZERO, "total_trades": 0, "total_buys": 0, "last_sequence": 0}
        | {"last_hash": GENESIS, "created_at": now},
    )
    facts = {"name": parameters.name, "base_currency": parameters.base_currency}
    cash = money_text(fixed(parameters.opening_cash))
    entry = context.entry(
        now, "portfolio.created", _target(parameters.name), None, facts | {"opening_cash": cash}
    )
    return Change(_facts(connection, tenant_id, key), [entry], 201)


def rename_portfolio(
    connection: Connection, context: OperationContext, name: str, new_name: str, guard: Guard, now: datetime
) -> Change:
    """Give a portfolio another name; its ledger, positions, grants, limits and kill switch stay its own.

    Raises NoSuchPortfolio, PortfolioExists.
    """
    tenant_id, key, new_key = context.caller.tenant_id, name_key(name), name_key(new_name)
    old_name = queries.name_of(connection, tenant_id, key)
    if old_name is None:
        raise NoSuchPortfolio(name)
    if new_key != key and queries.name_of(connection, tenant_id, new_key) is not None:
        raise PortfolioExists(new_name)
    if new_name == old_name:
        return Change(_facts(connection, tenant_id, key), ())
    queries.rename_portfolio(connection, tenant_id, key, new_name, new_key)
    guard.renamed(connection, tenant_id, key, new_key, new_name)
    before, after = {"name": old_name}, {"name": new_name}
    entry = context.entry(now, "portfolio.renamed", _target(old_name), before, after)
    return Change(_facts(connection, tenant_id, new_key), [entry])


def _facts(connection: Connection, tenant_id: int, key: str) -> dict[str, Any]:
    book, _ = reading.find_books(connection, tenant_id, [key])[key]
    return summary(book)


def _target(name: str) -> str:
    return f"portfolio:{name}"
