"""Read day closes and the statements of portfolios."""

from datetime import date, datetime

from sqlalchemy import Connection

from app.day_close import queries
from app.day_close.errors import NoSuchDayClose
from app.day_close.queries import StatementTrade
from app.day_close.rules.statements import DayStatement, StatementCell, StatementRows, build_statement
from app.day_close.rules.values import DayFigures, SignedDay
from app.identity.rules.access import Caller
from app.ledger.queries.cash import list_cash_movements
from app.ledger.queries.portfolios import StatementPosition, load_portfolio_summary, load_sequence_at
from app.ledger.rules.cash import CashRow
from app.ledger.service.portfolio_statements import load_statement_at_instant
from app.money import ZERO, format_fixed, shorten_amount, shorten_quantity
from app.text import name_key

MAX_ROWS = 10_000  # of the trades in a statement
_NOTHING = format_fixed(ZERO)


def load_signed_day(connection: Connection, caller: Caller, day: date) -> tuple[SignedDay, set[int] | None]:
    """Return a signed day and the ids of the portfolios that the caller may see, None for all.

    Raises NoSuchDayClose.
    """
    signed = queries.find_signed_day(connection, caller.tenant_id, day.isoformat())
    if signed is None:
        raise NoSuchDayClose(day.isoformat())
    if caller.portfolios is None:
        return signed, None
    return signed, queries.list_visible_ids(connection, caller.tenant_id, caller.portfolios)


def read_statement(connection: Connection, caller: Caller, day: date, name: str) -> DayStatement:
    """Return the statement of a portfolio, by its present name. Raises NoSuchDayClose."""
    key = name_key(name)
    portfolio_id = queries.find_portfolio_id(connection, caller.tenant_id, key)
    signed = queries.find_signed_day(connection, caller.tenant_id, day.isoformat())
    all_figures = () if signed is None else signed.figures
    figures = next((figures for figures in all_figures if figures.portfolio_id == portfolio_id), None)
    if signed is None or figures is None or not caller.can_see(key):
        raise NoSuchDayClose(day.isoformat(), name)
    breaks = [open_break for open_break in signed.breaks if open_break.portfolio_id == portfolio_id]
    return build_statement(signed.day, figures, breaks, _read_rows(connection, figures))


def _read_rows(connection: Connection, figures: DayFigures) -> StatementRows:
    key = (figures.tenant_id, figures.portfolio_id)
    summary, end = load_portfolio_summary(connection, *key), datetime.fromisoformat(figures.ended_at)
    start = figures.started_at
    tenant_id = figures.tenant_id
    first = (
        0
        if start is None
        else load_sequence_at(connection, tenant_id, summary, datetime.fromisoformat(start))
    )
    last = load_sequence_at(connection, tenant_id, summary, end)
    trades = queries.list_statement_trades(connection, *key, first, last, MAX_ROWS)
    movements = [
        row
        for row in list_cash_movements(connection, *key)
        if (start is None or row.created_at > start) and row.created_at <= figures.ended_at
    ]
    positions = load_statement_at_instant(connection, tenant_id, summary, end).positions
    return StatementRows(
        [_format_trade(trade, figures.currency) for trade in trades],
        list(map(_format_movement, movements)),
        [
            _format_position(position, figures.currency)
            for position in positions
            if position.quantity != _NOTHING
        ],
    )


def _format_trade(trade: StatementTrade, base: str) -> list[StatementCell]:
    return [
        trade.created_at, trade.trade_id, trade.kind, trade.side, trade.symbol,
        shorten_quantity(trade.quantity), shorten_amount(trade.price), trade.currency or base,
        *map(shorten_amount, (trade.cash_delta, trade.charges, trade.realized_pnl)),
    ]  # fmt: skip


def _format_movement(row: CashRow) -> list[StatementCell]:
    amounts = map(shorten_amount, (row.amount, row.balance_after))
    return [row.created_at, row.kind, *amounts, row.symbol, row.reason]


def _format_position(position: StatementPosition, base: str) -> list[StatementCell]:
    local = shorten_amount(position.cost if position.local_cost is None else position.local_cost)
    quantity, cost = shorten_quantity(position.quantity), shorten_amount(position.cost)
    return [position.symbol, position.product, quantity, cost, position.currency or base, local]
