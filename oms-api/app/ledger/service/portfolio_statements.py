"""Read portfolios, now and as of an earlier time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

import orjson
from sqlalchemy import Connection

from app.database import set_tenant_scope
from app.errors import FieldError, Invalid
from app.ledger.errors import NoSuchPortfolio, NoSuchTrade
from app.ledger.queries import portfolios as queries
from app.ledger.queries.cash import list_cash_movements
from app.ledger.queries.portfolios import PortfolioSummary, StatementPosition
from app.ledger.queries.trades import ListedTrade, find_trade
from app.ledger.rules.cash import compute_moved_amount
from app.ledger.rules.keys import PortfolioNameKey
from app.ledger.rules.settings import SESSIONS_OFF
from app.ledger.service.cash_figures import CashFigures, CashReader
from app.money import ZERO, format_fixed, shorten_amount, shorten_quantity
from app.text import name_key
from app.timestamps import Timestamp, format_timestamp

MAX_COMPARED_NAMES = 2_000
MAX_NEAREST_NAMES = 3
AsOf = int | datetime  # a sequence number or an instant


@dataclass(frozen=True, slots=True)
class PortfolioStatement:
    """A portfolio with its positions, and its cash figures unless it is of an earlier time."""

    summary: PortfolioSummary
    positions: list[StatementPosition]
    figures: CashFigures | None = None


def load_trade(
    connection: Connection, tenant_id: int, trade_id: str, portfolios: frozenset[str] | None
) -> ListedTrade:
    """Return one trade of the portfolios (name keys; None: all). Raises NoSuchTrade."""
    trade = find_trade(connection, tenant_id, trade_id, portfolios)
    if trade is None:
        raise NoSuchTrade(trade_id)
    return trade


def load_statement(
    connection: Connection,
    tenant_id: int,
    name: str,
    cash_reader: CashReader,
    now: datetime,
    as_of: AsOf | None = None,
) -> PortfolioStatement:
    """Return a portfolio, now or as of an instant or a sequence number. Raises NoSuchPortfolio."""
    key = name_key(name)
    summaries = queries.load_portfolios_by_name(connection, tenant_id, [key])
    if key not in summaries:
        raise NoSuchPortfolio(name)
    summary, positions = summaries[key]
    if as_of is None:
        return PortfolioStatement(
            summary, positions, cash_reader.read(connection, tenant_id, [summary], now)[summary.id]
        )
    sequence = _resolve_sequence(connection, tenant_id, summary, as_of)
    until = format_timestamp(as_of) if isinstance(as_of, datetime) else None
    return _build_statement_at(connection, tenant_id, summary, sequence, until)


def load_statement_at_instant(
    connection: Connection, tenant_id: int, summary: PortfolioSummary, instant: datetime
) -> PortfolioStatement:
    """Return a portfolio by the rows of its ledger that were recorded at an instant or before."""
    sequence = queries.load_sequence_at(connection, tenant_id, summary, instant)
    return _build_statement_at(connection, tenant_id, summary, sequence, format_timestamp(instant))


def load_statements(
    connection: Connection, keys: Sequence[PortfolioNameKey], cash_reader: CashReader, now: datetime
) -> dict[PortfolioNameKey, PortfolioStatement]:
    """Return the portfolios that exist, by a few statements for each tenant."""
    names: dict[int, list[str]] = {}
    for key in keys:
        names.setdefault(key.tenant_id, []).append(key.name_key)
    statements = {}
    for tenant_id, name_keys in names.items():
        found_portfolios = queries.load_portfolios_by_name(
            set_tenant_scope(connection, [tenant_id]), tenant_id, name_keys
        )
        summaries = [summary for summary, _ in found_portfolios.values()]
        long_only = {
            summary.id
            for summary, positions in found_portfolios.values()
            if not any(_is_short(position) for position in positions)
        }
        figures = cash_reader.read(connection, tenant_id, summaries, now, long_only)
        for name, (summary, positions) in found_portfolios.items():
            statements[PortfolioNameKey(tenant_id, name)] = PortfolioStatement(
                summary, positions, figures[summary.id]
            )
    return statements


def _is_short(position: StatementPosition) -> bool:
    return position.quantity.startswith("-")


def find_similar_names(
    connection: Connection, tenant_id: int, name: str, portfolios: frozenset[str] | None
) -> list[str]:
    """Return the names of portfolios most similar to `name` that the caller may see (name keys; None: all).

    If a tenant has very many portfolios, only the first in alphabetical order are compared.
    """
    summaries = queries.list_portfolio_summaries(
        connection, tenant_id, None, MAX_COMPARED_NAMES, None, portfolios
    )
    names = {name_key(summary.name): summary.name for summary in summaries}
    return [names[key] for key in get_close_matches(name_key(name), names, MAX_NEAREST_NAMES)]


def build_summary(summary: PortfolioSummary) -> dict[str, Any]:
    """Return the response body of a portfolio without its positions."""
    return {
        "portfolio_name": summary.name,
        "base_currency": summary.base_currency,
        "total_trades": summary.total_trades,
        "total_buys": summary.total_buys,
        "total_sells": summary.total_trades - summary.total_buys,
        "realized_pnl": shorten_amount(summary.realized_pnl),
        "cash": shorten_amount(summary.cash),
        "opening_cash": shorten_amount(summary.opening_cash),
        "cost_schedule": summary.cost_schedule,
        "cost_schedules": _parse_json(summary.cost_schedules),
        "calendar": summary.calendar,
        "enforce_sessions": False if summary.enforce_sessions == SESSIONS_OFF else summary.enforce_sessions,
        "approval": _parse_json(summary.approval),
        "participation": None if summary.participation is None else shorten_quantity(summary.participation),
        "slippage": None if summary.slippage is None else shorten_quantity(summary.slippage),
        "carry_rates": _parse_json(summary.carry_rates),
        "broker": summary.broker,
        "connection": summary.broker_connection,
        "when_broker_down": summary.when_broker_down,
        "last_sequence": summary.last_sequence,
    }


def _parse_json(text: str | None) -> Any:  # an object or a list, None for null
    return None if text is None else orjson.loads(text)


def compute_total_charges(statement: PortfolioStatement) -> Decimal:
    """Return all charges: the cash paid in and the realized P&L, less the cost of positions and the cash."""
    summary = statement.summary
    cost = sum((Decimal(position.cost) for position in statement.positions), ZERO)
    paid_in = Decimal(summary.opening_cash) + Decimal(summary.moved_cash)
    return paid_in + Decimal(summary.realized_pnl) - cost - Decimal(summary.cash)


def _resolve_sequence(connection: Connection, tenant_id: int, summary: PortfolioSummary, as_of: AsOf) -> int:
    if isinstance(as_of, datetime):
        return queries.load_sequence_at(connection, tenant_id, summary, as_of)
    if as_of > summary.last_sequence:
        message = f"The ledger of this portfolio ends at {summary.last_sequence}; send at most this number."
        raise Invalid(
            "`as_of` is beyond the last sequence number; see `errors`.",
            [FieldError("as_of", message, "beyond_end")],
        )
    return as_of


def _build_statement_at(
    connection: Connection, tenant_id: int, summary: PortfolioSummary, sequence: int, until: Timestamp | None
) -> PortfolioStatement:
    """Return the portfolio after the trade `sequence`, and the cash movements up to the instant `until`.

    Without an instant, it is the state just after that trade.
    """
    if sequence:
        positions = queries.load_positions_at(connection, tenant_id, summary, sequence)
        at = queries.load_summary_at(connection, tenant_id, summary, sequence)
    else:
        positions = []
        at = summary._replace(total_trades=0, total_buys=0, realized_pnl=format_fixed(ZERO), last_sequence=0)
        at = at._replace(cash=summary.opening_cash)
    cash, moved_cash = Decimal(at.cash), ZERO
    for row in list_cash_movements(connection, tenant_id, summary.id):
        is_later = row.trade_sequence >= sequence
        if is_later and (until is None or row.created_at > until):
            continue
        amount = Decimal(row.amount)
        moved_cash += compute_moved_amount(row.kind, amount)
        cash += amount if is_later else ZERO  # the trade's cash includes the earlier movements
    return PortfolioStatement(
        at._replace(cash=format_fixed(cash), moved_cash=format_fixed(moved_cash)), positions
    )
