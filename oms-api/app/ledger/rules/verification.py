"""What a row of the ledger must say, given the rows before it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from app.ledger.rules.accounting import FLAT, Fill, Position, Side, apply_fill
from app.ledger.rules.chain import COLUMNS, GENESIS, HASH_VERSION, TradeRow, hash_of
from app.money import ZERO, fixed, product, ratio

Stored = str | int | None
HoldingKey = tuple[str, str]  # symbol, product

REVERSAL = "reversal"


class Check(StrEnum):
    """What is checked, in the order in which it is told."""

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
    HOME = "home"
    EVENT = "event"


class Finding(NamedTuple):
    """One field that is not what it must be; `check` is a `Check`, or one of another room."""

    check: StrEnum
    field: str
    stored: Stored
    expected: Stored


class Amounts(NamedTuple):
    """The amounts of a row as numbers."""

    quantity: Decimal
    price: Decimal
    gmv: Decimal
    charges: Decimal
    realized_pnl: Decimal
    quantity_delta: Decimal
    cost_delta: Decimal
    cash_delta: Decimal
    position_quantity: Decimal
    position_cost: Decimal
    position_realized_pnl: Decimal
    portfolio_realized_pnl: Decimal
    cash_after: Decimal

    @property
    def position(self) -> Position:
        """The position after the row."""
        return Position(self.position_quantity, self.position_cost, self.position_realized_pnl)

    @property
    def change(self) -> Position:
        """What the row did to the position."""
        return Position(self.quantity_delta, self.cost_delta, self.realized_pnl)


@dataclass(frozen=True, slots=True)
class Undone:
    """What a reversal refers to: its trade, an earlier reversal of the same one, the replay without it."""

    original: TradeRow
    reversed_before: str | None
    position: Position


@dataclass(slots=True)
class LedgerState:
    """Where a portfolio's ledger stands after its rows so far, as those rows say.

    `holdings` maps symbol and product to the position and the sequence number that made it.
    """

    cash: Decimal
    sequence: int = 0
    hash: str = GENESIS
    trade_id: str = ""
    created_at: str = ""
    realized_pnl: Decimal = ZERO
    trades: int = 0
    buys: int = 0
    holdings: dict[HoldingKey, tuple[Position, int]] = field(default_factory=dict)

    def advance(self, row: TradeRow, amounts: Amounts | None) -> None:
        """Move on to what `row` says; a misformed one (`amounts` is None) moves the chain alone."""
        self.sequence, self.hash, self.trade_id = row.sequence, str(row.hash), str(row.trade_id)
        if amounts:
            self.created_at = row.created_at
            self.cash, self.realized_pnl = amounts.cash_after, amounts.portfolio_realized_pnl
            self.trades, self.buys = row.trades_after, row.buys_after
            self.holdings[row.symbol, row.product] = (amounts.position, row.sequence)


def amounts_of(row: TradeRow) -> Amounts | None:
    """Return the row's amounts, or None where the row is not in canonical form."""
    if not _is_formed(row):
        return None
    return Amounts._make(map(Decimal, _amount_texts(row)))


def examine(
    row: TradeRow, amounts: Amounts | None, before: LedgerState, undone: Undone | None = None
) -> list[Finding]:
    """Return all that is wrong with `row`, which follows on `before`; a reversal also needs what it undid."""
    if amounts is None:
        return [*_misformed(row), *_chain(row, before)]
    findings = [*_place(row, before), *_chain(row, before), *_value(row, amounts), *_key(row)]
    if row.kind == REVERSAL:
        findings += _reversal(row, amounts, undone)
    findings += _position(row, amounts, before, _expected_position(row, amounts, before, undone))
    return [*findings, *_cash(row, amounts, before, undone), *_counters(row, amounts, before)]


_TRADED = slice(COLUMNS.index("quantity"), COLUMNS.index("realized_pnl") + 1)
_MOVED = slice(COLUMNS.index("quantity_delta"), COLUMNS.index("position_realized_pnl") + 1)
_SUMMED = slice(COLUMNS.index("portfolio_realized_pnl"), COLUMNS.index("cash_after") + 1)
_TIMES = slice(COLUMNS.index("executed_at"), COLUMNS.index("created_at") + 1)
_AMOUNT = r"-?[0-9]{1,16}\.[0-9]{8}"
_INSTANT = r"[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\.[0-9]{6}Z"
_FORMS = {
    "kind": "trade|reversal",
    "side": "BUY|SELL",
    **dict.fromkeys(Amounts._fields, _AMOUNT),
    **dict.fromkeys(COLUMNS[_TIMES], _INSTANT),
}
_FORMED = re.compile(
    rf"(?:trade|reversal) (?:BUY|SELL)(?: {_INSTANT}){{2}}(?: {_AMOUNT}){{{len(Amounts._fields)}}}", re.ASCII
)
_COUNTS = ("sequence", "trades_after", "buys_after", "hash_version")
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)


def _amount_texts(row: TradeRow) -> tuple[str, ...]:
    fields: tuple[Any, ...] = row
    return fields[_TRADED] + fields[_MOVED] + fields[_SUMMED]


def _is_formed(row: TradeRow) -> bool:
    if (
        not type(row.sequence)
        is type(row.trades_after)
        is type(row.buys_after)
        is type(row.hash_version)
        is int
    ):
        return False
    texts = (row.kind, row.side, row.executed_at, row.created_at, *_amount_texts(row))
    try:
        return _FORMED.fullmatch(" ".join(texts)) is not None
    except TypeError:
        return False


def _misformed(row: TradeRow) -> Iterator[Finding]:
    for name, value in zip(COLUMNS, row, strict=True):
        form = _FORMS.get(name)
        if form and not (isinstance(value, str) and re.fullmatch(form, value, re.ASCII)):
            yield Finding(Check.FORM, name, repr(value), f"text of the form {form}")
        elif name in _COUNTS and type(value) is not int:
            yield Finding(Check.FORM, name, repr(value), "a whole number")


def _place(row: TradeRow, before: LedgerState) -> Iterator[Finding]:
    if row.sequence != before.sequence + 1:
        yield Finding(Check.SEQUENCE, "sequence", row.sequence, before.sequence + 1)
    if row.created_at < before.created_at:
        yield Finding(Check.TIME, "created_at", row.created_at, f"{before.created_at} or later")
    if row.trade_id <= before.trade_id:
        yield Finding(Check.TRADE_ID, "trade_id", row.trade_id, f"above {before.trade_id}")


def _chain(row: TradeRow, before: LedgerState) -> Iterator[Finding]:
    if row.hash_version not in range(1, HASH_VERSION + 1):
        yield Finding(Check.CHAIN, "hash_version", row.hash_version, HASH_VERSION)
    if row.hash_version == 1 and (row.actor, row.request_id) != (None, None):  # that version hashed neither
        yield Finding(Check.CHAIN, "actor", row.actor, None)
        return
    try:
        expected = hash_of(row[:-1], before.hash)
    except TypeError:
        expected = "none: the row holds what no row can hold"
    if row.hash != expected:
        yield Finding(Check.CHAIN, "hash", row.hash, expected)


def _value(row: TradeRow, amounts: Amounts) -> Iterator[Finding]:
    quantity, price, gmv = amounts.quantity, amounts.price, amounts.gmv
    if min(quantity, price, gmv) <= 0:
        lowest = min(("quantity", "price", "gmv"), key=lambda name: getattr(amounts, name))
        yield Finding(Check.VALUE, lowest, getattr(row, lowest), "above zero")
    elif price != ratio(gmv, quantity) and gmv != product(quantity, price):
        yield Finding(Check.VALUE, "price", row.price, fixed(ratio(gmv, quantity)))


def _key(row: TradeRow) -> Iterator[Finding]:
    if row.idempotency_key is None:
        if row.request_hash is not None:
            yield Finding(Check.KEY, "request_hash", row.request_hash, None)
    elif row.request_hash is None or not _HASH.fullmatch(str(row.request_hash)):
        yield Finding(Check.KEY, "request_hash", row.request_hash, "the hash of the request under the key")


def _expected_position(
    row: TradeRow, amounts: Amounts, before: LedgerState, undone: Undone | None
) -> Position:
    """Return the position that the row must leave; a reversal of nothing leaves whatever it says."""
    if row.kind == REVERSAL:
        return undone.position if undone else amounts.position
    held, _ = before.holdings.get((row.symbol, row.product), (FLAT, 0))
    return apply_fill(held, Fill(Side(row.side), amounts.quantity, amounts.gmv))


def _position(row: TradeRow, amounts: Amounts, before: LedgerState, after: Position) -> Iterator[Finding]:
    held, _ = before.holdings.get((row.symbol, row.product), (FLAT, 0))
    stored = amounts.position
    if stored != after:
        names = ("position_quantity", "position_cost", "position_realized_pnl")
        yield from _differences(Check.POSITION, names, row, stored, after)
    change = Position(
        after.quantity - held.quantity, after.cost - held.cost, after.realized_pnl - held.realized_pnl
    )
    if amounts.change != change:
        names = ("quantity_delta", "cost_delta", "realized_pnl")
        yield from _differences(Check.POSITION, names, row, amounts.change, change)


def _differences(
    check: Check, names: tuple[str, str, str], row: TradeRow, stored: Position, expected: Position
) -> Iterator[Finding]:
    for name, part in zip(names, ("quantity", "cost", "realized_pnl"), strict=True):
        if getattr(stored, part) != getattr(expected, part):
            yield Finding(check, name, getattr(row, name), fixed(getattr(expected, part)))


def _cash(row: TradeRow, amounts: Amounts, before: LedgerState, undone: Undone | None) -> Iterator[Finding]:
    if row.kind != REVERSAL:
        delta = -Side(row.side).sign * amounts.gmv - amounts.charges
    else:
        delta = -Decimal(undone.original.cash_delta) if undone else amounts.cash_delta
    if amounts.cash_delta != delta:
        yield Finding(Check.CASH, "cash_delta", row.cash_delta, fixed(delta))
    if amounts.cash_after != before.cash + delta:
        yield Finding(Check.CASH, "cash_after", row.cash_after, fixed(before.cash + delta))


def _counters(row: TradeRow, amounts: Amounts, before: LedgerState) -> Iterator[Finding]:
    # A reversal's side is the opposite of its trade's, and takes the trade out of the counters.
    step, bought = (-1, "SELL") if row.kind == REVERSAL else (1, "BUY")
    trades, buys = before.trades + step, before.buys + (step if row.side == bought else 0)
    if row.trades_after != trades:
        yield Finding(Check.COUNTERS, "trades_after", row.trades_after, trades)
    if row.buys_after != buys:
        yield Finding(Check.COUNTERS, "buys_after", row.buys_after, buys)
    realized = before.realized_pnl + amounts.realized_pnl
    if amounts.portfolio_realized_pnl != realized:
        yield Finding(Check.COUNTERS, "portfolio_realized_pnl", row.portfolio_realized_pnl, fixed(realized))


def _reversal(row: TradeRow, amounts: Amounts, undone: Undone | None) -> Iterator[Finding]:
    if undone is None:
        yield Finding(Check.REVERSAL, "reverses", row.reverses, "an earlier trade of this portfolio")
        return
    if undone.reversed_before:
        yield Finding(Check.REVERSAL, "reverses", row.reverses, f"only {undone.reversed_before} reverses it")
    original = undone.original
    mirrored = {name: getattr(original, name) for name in ("symbol", "product", "quantity", "price", "gmv")}
    mirrored["side"] = "SELL" if original.side == "BUY" else "BUY"
    for name, expected in mirrored.items():
        if getattr(row, name) != expected:
            yield Finding(Check.REVERSAL, name, getattr(row, name), expected)
    if amounts.charges != -Decimal(original.charges):
        yield Finding(Check.REVERSAL, "charges", row.charges, fixed(-Decimal(original.charges)))
