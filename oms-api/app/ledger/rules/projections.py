"""Derive portfolios and positions from the end of their ledgers, and compare them with the stored ones."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from app.ledger.rules.accounting import Position
from app.ledger.rules.keys import SymbolProductKey
from app.ledger.rules.ledger_state import LedgerState
from app.ledger.rules.verification import Finding, LedgerCheck
from app.money import format_fixed
from app.timestamps import Timestamp


class PortfolioProjection(NamedTuple):
    """A portfolio's projections in canonical form."""

    tenant_id: int
    id: int
    name: str
    base_currency: str
    opening_cash: str
    cash: str
    realized_pnl: str
    total_trades: int
    total_buys: int
    last_sequence: int
    last_hash: str
    last_trade_id: str | None
    last_created_at: Timestamp | None
    moved_cash: str
    cash_sequence: int
    cash_hash: str


class PositionProjection(NamedTuple):
    """A position's projection in canonical form."""

    tenant_id: int
    portfolio_id: int
    symbol: str
    product: str
    quantity: str
    cost: str
    realized_pnl: str
    last_sequence: int
    currency: str | None
    local_cost: str | None
    opened_at: Timestamp | None
    closed_at: Timestamp | None
    last_executed_at: Timestamp | None


def check_portfolio(stored: PortfolioProjection, end: LedgerState) -> list[Finding]:
    """Return the differences between a portfolio's projections and the end of its ledger."""
    expected = build_portfolio_projection(stored, end)
    if stored == expected:
        return []
    pairs = zip(PortfolioProjection._fields, stored, expected, strict=True)
    return [Finding(LedgerCheck.PORTFOLIO, *names) for names in pairs if names[1] != names[2]]


def build_portfolio_projection(stored: PortfolioProjection, end: LedgerState) -> PortfolioProjection:
    """Return the portfolio's row that the end of its ledger requires."""
    return stored._replace(
        cash=format_fixed(end.cash),
        realized_pnl=format_fixed(end.realized_pnl),
        total_trades=end.trades,
        total_buys=end.buys,
        last_sequence=end.sequence,
        last_hash=end.hash,
        last_trade_id=end.trade_id or None,
        last_created_at=end.created_at or None,
        moved_cash=format_fixed(end.moved_cash),
        cash_sequence=end.cash_sequence,
        cash_hash=end.cash_hash,
    )


def check_positions(
    stored: Iterable[PositionProjection], expected: Iterable[PositionProjection]
) -> Iterator[tuple[SymbolProductKey, list[Finding]]]:
    """Yield, by position, the differences between the positions table and the ledger."""
    stored_rows = {SymbolProductKey(row.symbol, row.product): row for row in stored}
    expected_rows = {SymbolProductKey(row.symbol, row.product): row for row in expected}
    for key in sorted(stored_rows.keys() | expected_rows.keys()):
        if stored_rows.get(key) != expected_rows.get(key):
            yield key, list(_check_position(stored_rows.get(key), expected_rows.get(key)))


def build_position_projections(
    tenant_id: int, portfolio_id: int, end: LedgerState, replay: Callable[[SymbolProductKey], Position]
) -> list[PositionProjection]:
    """Return the positions at the end of a ledger, one for each symbol and product that was ever held.

    `replay` returns the position that results from all unreversed trades of a symbol and product. It is
    called only for those with a reversed trade.
    """
    rows = []
    for key, (position, last) in end.positions.items():
        timed = replay(key) if key in end.replayed_positions else position
        rows.append(
            PositionProjection(
                tenant_id=tenant_id,
                portfolio_id=portfolio_id,
                symbol=key.symbol,
                product=key.product,
                quantity=format_fixed(position.quantity),
                cost=format_fixed(position.cost),
                realized_pnl=format_fixed(position.realized_pnl),
                last_sequence=last,
                currency=position.currency,
                local_cost=None if position.currency is None else format_fixed(position.local_cost),
                opened_at=timed.opened_at,
                closed_at=timed.closed_at,
                last_executed_at=timed.last_executed_at,
            )
        )
    return rows


def _check_position(
    stored: PositionProjection | None, expected: PositionProjection | None
) -> Iterator[Finding]:
    if stored is None or expected is None:
        stored_text, expected_text = ("none" if row is None else "a row" for row in (stored, expected))
        yield Finding(LedgerCheck.HOLDING, "position", stored_text, expected_text)
        return
    for name in PositionProjection._fields:
        stored_value, expected_value = getattr(stored, name), getattr(expected, name)
        if stored_value != expected_value:
            yield Finding(LedgerCheck.HOLDING, name, stored_value, expected_value)
