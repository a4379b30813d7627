"""Verify a ledger row against the rows before it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from app.ledger.rules.accounting import FLAT, Fill, Position, Side, apply_fill, later_of, times_after
from app.ledger.rules.amounts import Amounts, find_malformed_fields
from app.ledger.rules.cash import CashRow, moved_amount
from app.ledger.rules.chain import GENESIS, HASH_VERSION, TradeRow, hash_of, uncovered
from app.ledger.rules.tickets import MAX_AHEAD
from app.money import ZERO, fixed, product, ratio
from app.timestamps import BEFORE_ALL, Timestamp

Stored = str | int | None
HoldingKey = tuple[str, str]  # symbol, product

REVERSAL = "reversal"


class Check(StrEnum):
    """The checks of the ledger, in the order of the report."""

    FORM = "form"
    SEQUENCE = "sequence"
    TIME = "time"
    TRADE_ID = "trade id"
    CHAIN = "hash chain"
    VALUE = "value"
    POSITION = "position"
    CASH = "cash"
    COUNTERS = "counters"
    REVERSAL = "reversal"
    KEY = "idempotency"
    PORTFOLIO = "portfolio"
    HOLDING = "holding"
    CASH_MOVEMENT = "cash movement"
    HOME = "home"
    EVENT = "event"
    POSITION_EVENT = "position event"
    CASH_MOVEMENT_EVENT = "cash event"


class Finding(NamedTuple):
    """One field with an unexpected value. `check` is a `Check` or a check of another package."""

    check: StrEnum
    field: str
    stored: Stored
    expected: Stored


@dataclass(frozen=True, slots=True)
class ReversedTrade:
    """The trade that a reversal undid, an earlier reversal of it, and the replayed position without it."""

    original: TradeRow
    reversed_before: str | None
    position: Position


@dataclass(slots=True)
class LedgerState:
    """The state of a portfolio's ledger after its rows so far, as those rows state it.

    `cash` includes the cash movements so far; the last three fields are the end of the cash ledger.
    `holdings` maps symbol and product to the position and the sequence of its last row. For keys in
    `replayed`, a trade was reversed: only a replay gives the times of opening and closing.
    """

    cash: Decimal
    sequence: int = 0
    hash: str = GENESIS
    trade_id: str = ""
    created_at: Timestamp = BEFORE_ALL
    realized_pnl: Decimal = ZERO
    trades: int = 0
    buys: int = 0
    holdings: dict[HoldingKey, tuple[Position, int]] = field(default_factory=dict)
    replayed: set[HoldingKey] = field(default_factory=set)
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
            self._hold(row, amounts.position)

    def advance_cash(self, row: CashRow) -> None:
        """Apply a cash movement."""
        amount = Decimal(row.amount)
        self.cash += amount
        self.moved_cash += moved_amount(row.kind, amount)
        self.cash_sequence, self.cash_hash = row.sequence, row.hash

    def held(self, row: TradeRow) -> Position:
        """Return the position in the row's symbol and product."""
        return self.holdings.get((row.symbol, row.product), (FLAT, 0))[0]

    def _hold(self, row: TradeRow, after: Position) -> None:
        key = (row.symbol, row.product)
        before = self.held(row)
        times = times_after(before, after.quantity, row.executed_at)
        last_executed_at = later_of(before.last_executed_at, row.executed_at)
        position = Position(*after.amounts, row.currency, *times, last_executed_at)
        self.holdings[key] = (position, row.sequence)
        if row.kind == REVERSAL:
            self.replayed.add(key)


def check_row(
    row: TradeRow, amounts: Amounts | None, before: LedgerState, reversed_trade: ReversedTrade | None = None
) -> list[Finding]:
    """Return the findings about `row`, given the state before it. A reversal also needs its trade."""
    if amounts is None:
        malformed = [
            Finding(Check.FORM, name, repr(value), due) for name, value, due in find_malformed_fields(row)
        ]
        return [*malformed, *_chain(row, before)]
    findings = [*_place(row, before), *_execution_time(row), *_chain(row, before)]
    findings += [*_value(row, amounts), *_key(row)]
    if row.kind == REVERSAL:
        findings += _reversal(row, amounts, reversed_trade)
    findings += _position(row, amounts, before, _expected_position(row, amounts, before, reversed_trade))
    return [*findings, *_cash(row, amounts, before, reversed_trade), *_counters(row, amounts, before)]


_MIRRORED = ("symbol", "product", "quantity", "price", "gmv", "currency", "fx_rate")
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)


def _place(row: TradeRow, before: LedgerState) -> Iterator[Finding]:
    if row.sequence != before.sequence + 1:
        yield Finding(Check.SEQUENCE, "sequence", row.sequence, before.sequence + 1)
    if row.created_at < before.created_at:
        yield Finding(Check.TIME, "created_at", row.created_at, f"{before.created_at} or later")
    if row.trade_id <= before.trade_id:
        yield Finding(Check.TRADE_ID, "trade_id", row.trade_id, f"above {before.trade_id}")


def _execution_time(row: TradeRow) -> Iterator[Finding]:
    if row.executed_at > row.created_at and _is_ahead(row):
        seconds = MAX_AHEAD.total_seconds()
        yield Finding(
            Check.TIME, "executed_at", row.executed_at, f"{row.created_at} + {seconds:.0f} s at most"
        )
    if row.backdated_reason is not None and (row.kind == REVERSAL or row.order_id is not None):
        yield Finding(Check.TIME, "backdated_reason", row.backdated_reason, "null: no reported trade")


def _is_ahead(row: TradeRow) -> bool:
    """Return whether the row was executed too long after it was recorded."""
    try:
        ahead = datetime.fromisoformat(row.executed_at) - datetime.fromisoformat(row.created_at)
    except ValueError:
        return True  # no such day
    return ahead > MAX_AHEAD


def _chain(row: TradeRow, before: LedgerState) -> Iterator[Finding]:
    if row.hash_version not in range(1, HASH_VERSION + 1):
        yield Finding(Check.CHAIN, "hash_version", row.hash_version, HASH_VERSION)
    later = uncovered(row)
    if later is not None:
        yield Finding(Check.CHAIN, later, getattr(row, later), None)
        return
    try:
        expected = hash_of(row[:-1], before.hash)
    except TypeError:
        expected = "none: the row holds what no row can hold"
    if row.hash != expected:
        yield Finding(Check.CHAIN, "hash", row.hash, expected)


def _value(row: TradeRow, amounts: Amounts) -> Iterator[Finding]:
    quantity, price, gmv = amounts.quantity, amounts.price, amounts.gmv
    is_smallest = (
        not gmv and quantity > 0 and not product(quantity, price)
    )  # it is worth less than 8 decimals
    if min(quantity, price) <= 0 or (gmv <= 0 and not is_smallest):
        lowest = min(("quantity", "price", "gmv"), key=lambda name: getattr(amounts, name))
        yield Finding(Check.VALUE, lowest, getattr(row, lowest), "above zero")
    elif amounts.fx_rate is not None and amounts.fx_rate <= 0:
        yield Finding(Check.VALUE, "fx_rate", row.fx_rate, "above zero")
    elif price != ratio(gmv, quantity) and gmv != product(quantity, price):
        yield Finding(Check.VALUE, "price", row.price, fixed(ratio(gmv, quantity)))


def _key(row: TradeRow) -> Iterator[Finding]:
    if row.idempotency_key is None:
        if row.request_hash is not None:
            yield Finding(Check.KEY, "request_hash", row.request_hash, None)
    elif row.request_hash is None or not _HASH.fullmatch(str(row.request_hash)):
        yield Finding(Check.KEY, "request_hash", row.request_hash, "the hash of the request under the key")


def _expected_position(
    row: TradeRow, amounts: Amounts, before: LedgerState, reversed_trade: ReversedTrade | None
) -> Position:
    """Return the position that the row must give.

    A reversal without an original trade is compared with itself.
    """
    if row.kind == REVERSAL:
        return reversed_trade.position if reversed_trade else amounts.position._replace(currency=row.currency)
    side, in_its_own = Side(row.side), (amounts.gmv, row.currency)
    local = in_its_own if row.currency is not None else (ZERO, None)
    return apply_fill(before.held(row), Fill(side, amounts.quantity, amounts.value, *local))


def _position(row: TradeRow, amounts: Amounts, before: LedgerState, after: Position) -> Iterator[Finding]:
    held, stored = before.held(row), amounts.position
    if stored.amounts != after.amounts:
        names = ("position_quantity", "position_cost", "position_realized_pnl", "position_local_cost")
        yield from _differences(names, row, stored, after)
    if after.quantity and row.currency != after.currency:
        yield Finding(Check.POSITION, "currency", row.currency, after.currency)
    pairs = zip(after.amounts, held.amounts, strict=True)
    quantity, cost, realized_pnl, local_cost = (now - then for now, then in pairs)
    change = Position(quantity, cost, realized_pnl, local_cost)
    if amounts.change != change:
        names = ("quantity_delta", "cost_delta", "realized_pnl", "local_cost_delta")
        yield from _differences(names, row, amounts.change, change)


def _differences(
    names: tuple[str, ...], row: TradeRow, stored: Position, expected: Position
) -> Iterator[Finding]:
    for name, stored_value, due in zip(names, stored.amounts, expected.amounts, strict=True):
        if stored_value != due:
            yield Finding(Check.POSITION, name, getattr(row, name), fixed(due))


def _cash(
    row: TradeRow, amounts: Amounts, before: LedgerState, reversed_trade: ReversedTrade | None
) -> Iterator[Finding]:
    if row.kind != REVERSAL:
        delta = -Side(row.side).sign * amounts.value - amounts.charges
    else:
        delta = -Decimal(reversed_trade.original.cash_delta) if reversed_trade else amounts.cash_delta
    if amounts.cash_delta != delta:
        yield Finding(Check.CASH, "cash_delta", row.cash_delta, fixed(delta))
    if amounts.cash_after != before.cash + delta:
        yield Finding(Check.CASH, "cash_after", row.cash_after, fixed(before.cash + delta))


def _counters(row: TradeRow, amounts: Amounts, before: LedgerState) -> Iterator[Finding]:
    # A reversal has the opposite side of its trade and removes the trade from the counters.
    step, bought = (-1, "SELL") if row.kind == REVERSAL else (1, "BUY")
    trades, buys = before.trades + step, before.buys + (step if row.side == bought else 0)
    if row.trades_after != trades:
        yield Finding(Check.COUNTERS, "trades_after", row.trades_after, trades)
    if row.buys_after != buys:
        yield Finding(Check.COUNTERS, "buys_after", row.buys_after, buys)
    realized = before.realized_pnl + amounts.realized_pnl
    if amounts.portfolio_realized_pnl != realized:
        yield Finding(Check.COUNTERS, "portfolio_realized_pnl", row.portfolio_realized_pnl, fixed(realized))


def _reversal(row: TradeRow, amounts: Amounts, reversed_trade: ReversedTrade | None) -> Iterator[Finding]:
    if reversed_trade is None:
        yield Finding(Check.REVERSAL, "reverses", row.reverses, "an earlier trade of this portfolio")
        return
    if reversed_trade.reversed_before:
        yield Finding(
            Check.REVERSAL, "reverses", row.reverses, f"only {reversed_trade.reversed_before} reverses it"
        )
    original = reversed_trade.original
    mirrored = {name: getattr(original, name) for name in _MIRRORED}
    mirrored["side"] = "SELL" if original.side == "BUY" else "BUY"
    for name, expected in mirrored.items():
        if getattr(row, name) != expected:
            yield Finding(Check.REVERSAL, name, getattr(row, name), expected)
    if amounts.charges != -Decimal(original.charges):
        yield Finding(Check.REVERSAL, "charges", row.charges, fixed(-Decimal(original.charges)))
