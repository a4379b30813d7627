"""Verify a ledger row against the rows before it."""

import re
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from app.ledger.rules.accounting import Fill, Position, Side, apply_fill
from app.ledger.rules.amounts import Amounts, list_malformed_fields
from app.ledger.rules.chain import HASH_VERSION, TradeRow, compute_row_hash, find_uncovered_column
from app.ledger.rules.corporate_actions import ACTION_ROWS, SPLIT, ActionKind, CorporateActionTerms
from app.ledger.rules.ledger_state import REVERSAL, LedgerState, ReversedTrade
from app.ledger.rules.tickets import MAX_AHEAD
from app.money import ZERO, divide, format_fixed, multiply

StoredValue = str | int | None


class LedgerCheck(StrEnum):
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
    ACTION = "corporate action"
    KEY = "idempotency"
    PORTFOLIO = "portfolio"
    HOLDING = "holding"
    CASH_MOVEMENT = "cash movement"
    TENANT = "tenant"
    EVENT = "event"
    POSITION_EVENT = "position event"
    CASH_MOVEMENT_EVENT = "cash event"


class Finding(NamedTuple):
    """One field with an unexpected value. `check` is a `LedgerCheck` or a check of another package."""

    check: StrEnum
    field: str
    stored: StoredValue
    expected: StoredValue


def check_row(
    row: TradeRow,
    amounts: Amounts | None,
    before: LedgerState,
    reversed_trade: ReversedTrade | None = None,
    replayed_position: Position | None = None,
) -> list[Finding]:
    """Return the findings about `row`, given the state before it.

    A reversal also needs its trade, a row of a corporate action the position that the rows up to it give.
    """
    if amounts is None:
        malformed = [
            Finding(LedgerCheck.FORM, name, repr(value), expected_form)
            for name, value, expected_form in list_malformed_fields(row)
        ]
        return [*malformed, *_check_chain(row, before)]
    findings = [*_check_place(row, before), *_check_execution_time(row), *_check_chain(row, before)]
    kind = reversed_trade.original.kind if reversed_trade else row.kind
    findings += [*_check_action_value(row, amounts, kind), *_check_key(row)]
    if row.kind == REVERSAL:
        findings += _check_reversal(row, amounts, reversed_trade)
    after = replayed_position or _compute_expected_position(row, amounts, before, reversed_trade)
    findings += _check_position(row, amounts, before, after)
    findings += _check_cash(row, amounts, before, reversed_trade)
    return [*findings, *_check_counters(row, amounts, before, _compute_counter_step(row, kind))]


_MIRRORED = ("symbol", "product", "quantity", "price", "gmv", "currency", "fx_rate")
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)


def _check_place(row: TradeRow, before: LedgerState) -> Iterator[Finding]:
    if row.sequence != before.sequence + 1:
        yield Finding(LedgerCheck.SEQUENCE, "sequence", row.sequence, before.sequence + 1)
    if row.created_at < before.created_at:
        yield Finding(LedgerCheck.TIME, "created_at", row.created_at, f"{before.created_at} or later")
    if row.trade_id <= before.trade_id:
        yield Finding(LedgerCheck.TRADE_ID, "trade_id", row.trade_id, f"above {before.trade_id}")


def _check_execution_time(row: TradeRow) -> Iterator[Finding]:
    if row.executed_at > row.created_at and _is_ahead(row):
        seconds = MAX_AHEAD.total_seconds()
        yield Finding(
            LedgerCheck.TIME, "executed_at", row.executed_at, f"{row.created_at} + {seconds:.0f} s at most"
        )
    if row.backdated_reason is not None and (row.kind == REVERSAL or row.order_id is not None):
        yield Finding(LedgerCheck.TIME, "backdated_reason", row.backdated_reason, "null: no reported trade")


def _is_ahead(row: TradeRow) -> bool:
    """Return whether the row was executed too long after it was recorded."""
    try:
        ahead = datetime.fromisoformat(row.executed_at) - datetime.fromisoformat(row.created_at)
    except ValueError:
        return True  # no such day
    return ahead > MAX_AHEAD


def _check_chain(row: TradeRow, before: LedgerState) -> Iterator[Finding]:
    if row.hash_version not in range(1, HASH_VERSION + 1):
        yield Finding(LedgerCheck.CHAIN, "hash_version", row.hash_version, HASH_VERSION)
    later = find_uncovered_column(row)
    if later is not None:
        yield Finding(LedgerCheck.CHAIN, later, getattr(row, later), None)
        return
    try:
        expected = compute_row_hash(row[:-1], before.hash)
    except TypeError:
        expected = "none: the row holds what no row can hold"
    if row.hash != expected:
        yield Finding(LedgerCheck.CHAIN, "hash", row.hash, expected)


def _check_value(row: TradeRow, amounts: Amounts) -> Iterator[Finding]:
    quantity, price, gmv = amounts.quantity, amounts.price, amounts.gmv
    is_smallest = (
        not gmv and quantity > 0 and not multiply(quantity, price)
    )  # it is worth less than 8 decimals
    if min(quantity, price) <= 0 or (gmv <= 0 and not is_smallest):
        lowest = min(("quantity", "price", "gmv"), key=lambda name: getattr(amounts, name))
        yield Finding(LedgerCheck.VALUE, lowest, getattr(row, lowest), "above zero")
    elif amounts.fx_rate is not None and amounts.fx_rate <= 0:
        yield Finding(LedgerCheck.VALUE, "fx_rate", row.fx_rate, "above zero")
    elif price != divide(gmv, quantity) and gmv != multiply(quantity, price):
        yield Finding(LedgerCheck.VALUE, "price", row.price, format_fixed(divide(gmv, quantity)))


def _check_action_value(row: TradeRow, amounts: Amounts, kind: str) -> Iterator[Finding]:
    """Yield the findings about a row's value. `kind` is the kind of the row, or of the row that it reverses.

    The quantity of a corporate action was not traded at its price.
    """
    if kind not in ACTION_ROWS:
        yield from _check_value(row, amounts)
    elif min(amounts.quantity, amounts.price) <= 0:
        lowest = min(("quantity", "price"), key=lambda name: getattr(amounts, name))
        yield Finding(LedgerCheck.VALUE, lowest, getattr(row, lowest), "above zero")
    elif kind == SPLIT and amounts.gmv:
        yield Finding(LedgerCheck.VALUE, "gmv", row.gmv, format_fixed(ZERO))


def _check_key(row: TradeRow) -> Iterator[Finding]:
    if row.idempotency_key is None:
        if row.request_hash is not None:
            yield Finding(LedgerCheck.KEY, "request_hash", row.request_hash, None)
    elif row.request_hash is None or not _HASH.fullmatch(str(row.request_hash)):
        yield Finding(
            LedgerCheck.KEY, "request_hash", row.request_hash, "the hash of the request under the key"
        )


def _compute_expected_position(
    row: TradeRow, amounts: Amounts, before: LedgerState, reversed_trade: ReversedTrade | None
) -> Position:
    """Return the position that the row must give.

    A reversal without an original trade is compared with itself.
    """
    if row.kind == REVERSAL:
        return reversed_trade.position if reversed_trade else amounts.position._replace(currency=row.currency)
    side, in_its_own = Side(row.side), (amounts.gmv, row.currency)
    local = in_its_own if row.currency is not None else (ZERO, None)
    return apply_fill(before.get_position(row), Fill(side, amounts.quantity, amounts.value, *local))


def _check_position(
    row: TradeRow, amounts: Amounts, before: LedgerState, after: Position
) -> Iterator[Finding]:
    position, stored = before.get_position(row), amounts.position
    if stored.amounts != after.amounts:
        names = ("position_quantity", "position_cost", "position_realized_pnl", "position_local_cost")
        yield from _list_differences(names, row, stored, after)
    if after.quantity and row.currency != after.currency:
        yield Finding(LedgerCheck.POSITION, "currency", row.currency, after.currency)
    pairs = zip(after.amounts, position.amounts, strict=True)
    quantity, cost, realized_pnl, local_cost = (now - then for now, then in pairs)
    change = Position(quantity, cost, realized_pnl, local_cost)
    if amounts.change != change:
        names = ("quantity_delta", "cost_delta", "realized_pnl", "local_cost_delta")
        yield from _list_differences(names, row, amounts.change, change)


def _list_differences(
    names: tuple[str, ...], row: TradeRow, stored: Position, expected: Position
) -> Iterator[Finding]:
    for name, stored_value, expected_value in zip(names, stored.amounts, expected.amounts, strict=True):
        if stored_value != expected_value:
            yield Finding(LedgerCheck.POSITION, name, getattr(row, name), format_fixed(expected_value))


def _check_cash(
    row: TradeRow, amounts: Amounts, before: LedgerState, reversed_trade: ReversedTrade | None
) -> Iterator[Finding]:
    if row.kind in ACTION_ROWS:
        delta = ZERO
    elif row.kind != REVERSAL:
        delta = -Side(row.side).sign * amounts.value - amounts.charges
    else:
        delta = -Decimal(reversed_trade.original.cash_delta) if reversed_trade else amounts.cash_delta
    if amounts.cash_delta != delta:
        yield Finding(LedgerCheck.CASH, "cash_delta", row.cash_delta, format_fixed(delta))
    if amounts.cash_after != before.cash + delta:
        yield Finding(LedgerCheck.CASH, "cash_after", row.cash_after, format_fixed(before.cash + delta))


def _compute_counter_step(row: TradeRow, kind: str) -> int:
    """Return by how much the row changes the number of trades; `kind` as in `_check_action_value`.

    A reversal removes its trade. Rows of corporate actions do not count.
    """
    if kind in ACTION_ROWS:
        return 0
    return -1 if row.kind == REVERSAL else 1


def _check_counters(row: TradeRow, amounts: Amounts, before: LedgerState, step: int) -> Iterator[Finding]:
    bought = "SELL" if row.kind == REVERSAL else "BUY"  # a reversal has the opposite side of its trade
    trades, buys = before.trades + step, before.buys + (step if row.side == bought else 0)
    if row.trades_after != trades:
        yield Finding(LedgerCheck.COUNTERS, "trades_after", row.trades_after, trades)
    if row.buys_after != buys:
        yield Finding(LedgerCheck.COUNTERS, "buys_after", row.buys_after, buys)
    realized = before.realized_pnl + amounts.realized_pnl
    if amounts.portfolio_realized_pnl != realized:
        yield Finding(
            LedgerCheck.COUNTERS, "portfolio_realized_pnl", row.portfolio_realized_pnl, format_fixed(realized)
        )


def _check_reversal(
    row: TradeRow, amounts: Amounts, reversed_trade: ReversedTrade | None
) -> Iterator[Finding]:
    if reversed_trade is None:
        yield Finding(LedgerCheck.REVERSAL, "reverses", row.reverses, "an earlier trade of this portfolio")
        return
    if reversed_trade.earlier_reversal_id:
        yield Finding(
            LedgerCheck.REVERSAL,
            "reverses",
            row.reverses,
            f"only {reversed_trade.earlier_reversal_id} reverses it",
        )
    original = reversed_trade.original
    mirrored = {name: getattr(original, name) for name in _MIRRORED}
    mirrored["side"] = "SELL" if original.side == "BUY" else "BUY"
    if original.kind == SPLIT:
        mirrored.pop("price")  # that before the split applies again
    for name, expected in mirrored.items():
        if getattr(row, name) != expected:
            yield Finding(LedgerCheck.REVERSAL, name, getattr(row, name), expected)
    if amounts.charges != -Decimal(original.charges):
        yield Finding(LedgerCheck.REVERSAL, "charges", row.charges, format_fixed(-Decimal(original.charges)))


def check_action_row(row: TradeRow, action: CorporateActionTerms | None) -> list[Finding]:
    """Return the findings about a row, given the action that its key names.

    Rows of other kinds without an action have none.
    """
    if action is None:
        expected = "the key of a corporate action"
        is_booked = row.kind in ACTION_ROWS
        return (
            [Finding(LedgerCheck.ACTION, "idempotency_key", row.idempotency_key, expected)]
            if is_booked
            else []
        )
    pairs: list[tuple[str, str, str]] = [("executed_at", row.executed_at, action.effective_at)]
    if row.kind in ACTION_ROWS:
        due_kind = ActionKind.SPLIT if row.kind == SPLIT else ActionKind.SYMBOL_CHANGE
        pairs.append(("kind", due_kind, action.kind))
    findings = [
        Finding(LedgerCheck.ACTION, name, stored, expected)
        for name, stored, expected in pairs
        if stored != expected
    ]
    if row.symbol not in (action.symbol, action.new_symbol):
        findings.append(Finding(LedgerCheck.ACTION, "symbol", row.symbol, action.symbol))
    return findings
