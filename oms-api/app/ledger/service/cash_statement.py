"""Read the cash of a portfolio with the rows that moved it."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection

from app.identity.rules.access import Caller
from app.instruments.queries import load_instruments
from app.instruments.rules import Instrument, InstrumentKey
from app.ledger.errors import NoSuchPortfolio
from app.ledger.queries.cash import CashCursor, TradeCash, load_portfolio_creation_time, load_portfolio_names
from app.ledger.queries.portfolios import PortfolioSummary, load_portfolios_by_name
from app.ledger.service.cash import list_cash, serialize_movement
from app.ledger.service.cash_figures import CashFigures, CashReader
from app.ledger.service.settlement import Settlements
from app.money import shorten_amount
from app.text import name_key
from app.timestamps import Timestamp


class CashStatement(NamedTuple):
    """The figures of a portfolio and its rows as responses, newest first, each with its position."""

    summary: PortfolioSummary
    figures: CashFigures
    rows: list[tuple[CashCursor, dict[str, Any]]]


def read_cash_statement(
    connection: Connection,
    caller: Caller,
    name: str,
    page: tuple[CashCursor | None, int],
    reader: CashReader,
    at: datetime,
) -> CashStatement:
    """Return a portfolio's cash. `page` is the position of the last row seen, and the number of rows.

    Raises NoSuchPortfolio, including for a portfolio that the caller may not see.
    """
    tenant_id, key = caller.tenant_id, name_key(name)
    summaries = load_portfolios_by_name(connection, tenant_id, [key])
    if key not in summaries or not caller.can_see(key):
        raise NoSuchPortfolio(name)
    summary = summaries[key][0]
    reader.settlements.refresh(connection)
    rows = list_cash_rows(connection, caller, summary, page, reader.settlements, at)
    figures = reader.read(connection, tenant_id, [summary], at)[summary.id]
    return CashStatement(summary, figures, rows)


def list_cash_rows(
    connection: Connection,
    caller: Caller,
    summary: PortfolioSummary,
    page: tuple[CashCursor | None, int],
    settlements: Settlements,
    at: datetime,
) -> list[tuple[CashCursor, dict[str, Any]]]:
    """Return a page of a portfolio's rows as responses, newest first, each with its position."""
    tenant_id = caller.tenant_id
    items = list_cash(connection, tenant_id, summary.id, *page)
    ids = {item.movement.counterpart_id or 0 for item in items if item.movement}
    portfolio_names = load_portfolio_names(connection, tenant_id, ids)
    visible = {
        portfolio_id: name for portfolio_id, (name, key) in portfolio_names.items() if caller.can_see(key)
    }
    symbols = {InstrumentKey(tenant_id, item.trade.symbol) for item in items if item.trade}
    instruments = load_instruments(connection, sorted(symbols))
    rows = []
    for item in items:
        if item.movement is not None:
            row = serialize_movement(item.movement, visible)
        elif item.trade is not None:
            row = _serialize_trade(
                item.trade, summary, instruments[InstrumentKey(tenant_id, item.trade.symbol)], settlements, at
            )
        else:
            row = _serialize_opening(summary, load_portfolio_creation_time(connection, tenant_id, summary.id))
        rows.append((item.position, row))
    return rows


def _serialize_trade(
    trade: TradeCash,
    summary: PortfolioSummary,
    instrument: Instrument,
    settlements: Settlements,
    at: datetime,
) -> dict[str, Any]:
    market = settlements.get_settlement_market(instrument, summary)
    day = settlements.find_settlement(market, datetime.fromisoformat(trade.executed_at))
    return {
        "kind": "trade",
        "amount": shorten_amount(trade.cash_delta),
        "currency": summary.base_currency,
        "balance": shorten_amount(trade.cash_after),
        "charges": shorten_amount(trade.charges),
        "trade_id": trade.trade_id,
        "symbol": trade.symbol,
        "counterpart": None,
        "reason": trade.reason,
        "source": trade.source,
        "actor": trade.actor,
        "request_id": trade.request_id,
        "idempotency_key": trade.idempotency_key,
        "settles_on": None if day is None else day.isoformat(),
        "is_settled": settlements.is_settled(market, day, at),
        "created_at": trade.created_at,
    }


def _serialize_opening(summary: PortfolioSummary, created_at: Timestamp) -> dict[str, Any]:
    absent = ("charges", "trade_id", "symbol", "counterpart", "reason", "source", "actor", "request_id")
    return {
        "kind": "opening",
        "amount": shorten_amount(summary.opening_cash),
        "currency": summary.base_currency,
        "balance": shorten_amount(summary.opening_cash),
        **dict.fromkeys((*absent, "idempotency_key")),
        "settles_on": created_at[:10],
        "is_settled": True,
        "created_at": created_at,
    }
