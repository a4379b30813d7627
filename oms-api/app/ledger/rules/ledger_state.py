"""The state of a portfolio's ledger after its rows so far, for verification and rebuilding."""

from dataclasses import dataclass, field
from decimal import Decimal

from app.ledger.rules.accounting import FLAT, Position, compute_position_times, get_later_timestamp
from app.ledger.rules.amounts import Amounts
from app.ledger.rules.cash import CashRow, compute_moved_amount
from app.ledger.rules.chain import GENESIS, TradeRow
from app.ledger.rules.keys import SymbolProductKey
from app.money import ZERO
from app.timestamps import BEFORE_ALL, Timestamp

TRADE, REVERSAL = "trade", "reversal"


@dataclass(frozen=True, slots=True)
class ReversedTrade:
    """The trade that a reversal undid, an earlier reversal of it, and the replayed position without it."""

    original: TradeRow
    earlier_reversal_id: str | None
    position: Position


@dataclass(slots=True)
class LedgerState:
    """The state of a portfolio's ledger after its rows so far, as those rows state it.

    `cash` includes the cash movements so far; the last three fields are the end of the cash ledger.
    `positions` maps symbol and product to the position and the sequence of its last row. For keys in
    `replayed_positions`, a trade was reversed or a corporate action booked: only a replay gives the times of
    opening and closing.
    """

    cash: Decimal
    sequence: int = 0
    hash: str = GENESIS
    trade_id: str = ""
    created_at: Timestamp = BEFORE_ALL
    realized_pnl: Decimal = ZERO
    trades: int = 0
    buys: int = 0
    positions: dict[SymbolProductKey, tuple[Position, int]] = field(default_factory=dict)
    replayed_positions: set[SymbolProductKey] = field(default_factory=set)
    moved_cash: Decimal = ZERO
    cash_sequence: int = 0
    cash_hash: str = GENESIS

    def advance(self, row: TradeRow, amounts: Amounts | None) -> None:
        """Apply `row`. A malformed row (`amounts` is None) advances only the hash chain."""
        self.sequence, self.hash, self.trade_id = row.sequence, str(row.hash), str(row.trade_id)
        if amounts:
            self.created_at = row.created_at
            self.cash, self.realized_pnl = amounts.cash_after, amounts.portfolio_realized_pnl
            self.trades, self.buys = row.trades_after, row.buys_after
            self._set_position(row, amounts.position)

    def advance_cash(self, row: CashRow) -> None:
        """Apply a cash movement."""
        amount = Decimal(row.amount)
        self.cash += amount
        self.moved_cash += compute_moved_amount(row.kind, amount)
        self.cash_sequence, self.cash_hash = row.sequence, row.hash

    def get_position(self, row: TradeRow) -> Position:
        """Return the position in the row's symbol and product."""
        return self.positions.get(row.symbol_product_key, (FLAT, 0))[0]

    def _set_position(self, row: TradeRow, after: Position) -> None:
        key = row.symbol_product_key
        before = self.get_position(row)
        times = compute_position_times(before, after.quantity, row.executed_at)
        last_executed_at = get_later_timestamp(before.last_executed_at, row.executed_at)
        position = Position(*after.amounts, row.currency, *times, last_executed_at)
        self.positions[key] = (position, row.sequence)
        if row.kind != TRADE:
            self.replayed_positions.add(key)
