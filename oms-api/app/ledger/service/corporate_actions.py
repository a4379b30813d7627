"""Book and reverse a corporate action in one portfolio, in the writer's transaction."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from app.ledger.errors import BeforeCorporateAction, MixesCurrencies, TradedAfterSymbolChange
from app.ledger.queries import corporate_actions as queries
from app.ledger.rules.accounting import MIXED, Fill, Position, Side, build_fill
from app.ledger.rules.cash import CashKind, CashRow
from app.ledger.rules.chain import TradeRow, hash_request
from app.ledger.rules.corporate_actions import (
    KEY_PREFIX,
    SPLIT,
    TRANSFER,
    ActionKind,
    CorporateActionTerms,
    FractionSale,
    Split,
    Step,
    TransferIn,
    TransferOut,
    build_row_key,
    compute_dividend,
    compute_fraction,
    compute_fraction_price,
    parse_action_key,
    replay_before,
    replay_steps,
    replay_to_close,
)
from app.ledger.rules.keys import PositionKey
from app.ledger.service.batch import LedgerBatch
from app.ledger.service.commands import CommandOrigin
from app.ledger.service.portfolio_state import CashEntry, PortfolioState, TradeEntry, build_trade_entry
from app.ledger.service.reversals import build_reversal_entry, restate_price
from app.money import ZERO, divide, format_fixed, shorten_quantity
from app.timestamps import BEFORE_ALL

FindRate = Callable[[str], Decimal]
"""Return the value of one unit of a currency in the portfolio's. Raises NoRate."""


class ActionInputs(NamedTuple):
    """The inputs of a corporate action in a portfolio, read at the `sequences` of its ledgers.

    `rows` and `movements` are the rows that the action booked, the newest row first, and `later_actions`
    other actions that acted on a row, by trade id. `steps` are those of the positions, by trade id, and
    `last_prices` their last prices and rates.
    """

    sequences: tuple[int, int]
    is_reversed: bool
    rows: list[TradeRow]
    movements: list[CashRow]
    later_actions: dict[str, TradeRow | None]
    steps: dict[PositionKey, dict[str, Step]]
    last_prices: dict[PositionKey, Any]


@dataclass(frozen=True, slots=True)
class ActionBooking:
    """An action to book or to reverse in one portfolio. `find_rate` is only needed to book."""

    batch: LedgerBatch
    portfolio: PortfolioState
    origin: CommandOrigin
    action: CorporateActionTerms
    find_rate: FindRate
    inputs: ActionInputs

    def list_steps(self, key: PositionKey) -> list[Step]:
        """Return the unreversed fills and adjustments of a position in the order of the ledger."""
        return list(self.inputs.steps[key].values())


def read_action_inputs(
    batch: LedgerBatch, portfolio: PortfolioState, action: CorporateActionTerms
) -> ActionInputs:
    """Read the inputs of an action. All changes of the batch must be written."""
    connection, portfolio_key = batch.connection, portfolio.key
    rows = queries.list_action_trades(connection, portfolio_key, action)
    keys = {key for key in batch.get_positions(portfolio_key) if key.symbol == action.symbol}
    if action.new_symbol is not None:
        keys |= {key._replace(symbol=action.new_symbol) for key in keys}
    keys.update(row.position_key for row in rows)
    return ActionInputs(
        sequences=get_sequences(portfolio),
        is_reversed=queries.is_reversed(connection, action),
        rows=rows,
        movements=queries.list_action_movements(connection, portfolio.tenant_id, action.id, portfolio.id),
        later_actions={row.trade_id: queries.find_later_action(connection, row) for row in rows},
        steps={key: queries.list_steps_by_trade(connection, key) for key in sorted(keys)},
        last_prices={key: queries.load_last_price(connection, key) for key in sorted(keys)},
    )


def get_sequences(portfolio: PortfolioState) -> tuple[int, int]:
    """Return the sequences of a portfolio's ledger and of its cash ledger."""
    return portfolio.last_sequence, portfolio.cash_sequence


def book_action(booking: ActionBooking) -> list[TradeRow]:
    """Book an action that has taken effect, and return its ledger rows. A repeat books nothing.

    Raises NoRate, MixesCurrencies, TradedAfterSymbolChange and AmountTooLarge.
    """
    inputs = booking.inputs
    if inputs.rows or inputs.movements or inputs.is_reversed:
        return []
    keys = [key for key in inputs.steps if key.symbol == booking.action.symbol]
    if booking.action.kind is ActionKind.DIVIDEND:
        _book_dividend(booking, keys)
        return []
    book = _book_split if booking.action.kind is ActionKind.SPLIT else _book_symbol_change
    return [row for key in keys for row in book(booking, key)]


def reverse_action(booking: ActionBooking) -> list[TradeRow]:
    """Reverse the rows that the action booked in a portfolio, the newest first, and return the reversals.

    Raises BeforeCorporateAction if another action acted on one of these rows, MixesCurrencies and
    AmountTooLarge.
    """
    reversals, steps = [], {key: dict(items) for key, items in booking.inputs.steps.items()}
    for row in booking.inputs.rows:
        later = booking.inputs.later_actions[row.trade_id]
        if later is not None:
            raise BeforeCorporateAction(row.trade_id, parse_action_key(later.idempotency_key) or "")
        del steps[row.position_key][row.trade_id]
        after = replay_steps(list(steps[row.position_key].values()))
        _require_one_currency(after, row.trade_id)
        entry = _build_reversal(row, booking.action)
        reversals.append(booking.batch.append(booking.portfolio, booking.origin, entry, after))
    _reverse_movements(booking)
    return reversals


def _build_reversal(row: TradeRow, action: CorporateActionTerms) -> TradeEntry:
    reason = f"Reversed corporate action {action.id}"
    if row.kind != SPLIT:
        return build_reversal_entry(row, reason)
    new_units, old_units = action.ratio
    return build_reversal_entry(row, reason, restate_price(Decimal(row.price), old_units, new_units))


def _reverse_movements(booking: ActionBooking) -> None:
    sums: dict[CashKind, Decimal] = {}
    for row in booking.inputs.movements:
        kind = CashKind(row.kind)
        sums[kind] = sums.get(kind, ZERO) + Decimal(row.amount)
    amounts = {kind: -amount for kind, amount in sums.items()}
    _append_movements(booking, amounts, f"Reversed corporate action {booking.action.id}")


def _append_movements(booking: ActionBooking, amounts: dict[CashKind, Decimal], reason: str) -> None:
    action = booking.action
    origin = booking.origin._replace(idempotency_key=f"{KEY_PREFIX}{action.id}")
    for kind, amount in amounts.items():
        if amount:
            entry = CashEntry(kind, amount, reason, symbol=action.symbol, day=action.ex_date)
            booking.batch.append_cash(booking.portfolio, origin, entry)


def _book_split(booking: ActionBooking, key: PositionKey) -> list[TradeRow]:
    action, steps = booking.action, booking.list_steps(key)
    require_unchanged_symbol(action, steps, booking.portfolio.name)
    position = replay_before(steps, action.effective_at)
    if not position.quantity:
        return []
    fraction = compute_fraction(position.quantity, action.ratio)
    rate = booking.find_rate(position.currency) if fraction and position.currency else None
    split = Split(action.effective_at, action.ratio)
    after = replay_steps([*steps, split])
    _require_one_currency(after, action.id)
    price, fx_rate = _get_price_and_rate(booking, key, position)
    entry = _build_cashless_entry(action, key, position, restate_price(price, *action.ratio), ZERO, fx_rate)
    rows = [_append_row(booking, key, entry, after)]
    if fraction:
        fill, entry = _build_fraction_entry(action, key, position, fraction, rate)
        sale = FractionSale(action.effective_at, fill)
        rows.append(_append_row(booking, key, entry, replay_steps([*steps, split, sale])))
    return rows


def require_unchanged_symbol(action: CorporateActionTerms, steps: list[Step], portfolio_name: str) -> None:
    """Raise TradedAfterSymbolChange where the position moved to another symbol when a split takes effect."""
    if any(isinstance(step, TransferOut) and step.at >= action.effective_at for step in steps):
        raise TradedAfterSymbolChange(action.symbol, portfolio_name)


def _build_fraction_entry(
    action: CorporateActionTerms,
    key: PositionKey,
    position: Position,
    fraction: Decimal,
    rate: Decimal | None,
) -> tuple[Fill, TradeEntry]:
    """Return the fill and the entry of the cash in lieu of a fraction: a trade without charges."""
    side, quantity = (Side.SELL if fraction > 0 else Side.BUY), abs(fraction)
    price, gmv = compute_fraction_price(action, position, quantity)
    fill = build_fill(side, quantity, gmv, position.currency, rate, action.effective_at)
    note = f"Cash in lieu of a fraction, corporate action {action.id}"
    return fill, build_trade_entry(
        key.symbol, key.product, fill, price, rate, note=note, executed_at=action.effective_at
    )


def _book_symbol_change(booking: ActionBooking, key: PositionKey) -> list[TradeRow]:
    action, at, steps = booking.action, booking.action.effective_at, booking.list_steps(key)
    position = replay_before(steps, at)
    if not position.quantity:
        return []
    require_no_later_fill(action, steps, booking.portfolio.name)
    new_key = key._replace(symbol=action.new_symbol or "")
    side = Side.BUY if position.quantity > 0 else Side.SELL
    fill = Fill(
        side, abs(position.quantity), abs(position.cost), abs(position.local_cost), position.currency, at
    )
    new_position = replay_steps([*booking.list_steps(new_key), TransferIn(at, fill)])
    _require_one_currency(new_position, action.id)
    price, fx_rate = _get_price_and_rate(booking, key, position)
    cost = abs(position.cost if position.currency is None else position.local_cost)
    outgoing = _build_cashless_entry(
        action, key, position._replace(quantity=-position.quantity), price, cost, fx_rate
    )
    incoming = _build_cashless_entry(action, new_key, position, price, cost, fx_rate)
    previous_position = replay_steps([*steps, TransferOut(at)])
    return [
        _append_row(booking, key, outgoing, previous_position, queries.OUTGOING),
        _append_row(booking, new_key, incoming, new_position, queries.INCOMING),
    ]


def require_no_later_fill(action: CorporateActionTerms, steps: list[Step], portfolio_name: str) -> None:
    """Raise TradedAfterSymbolChange where the old symbol was traded after the change took effect."""
    if any(isinstance(step, Fill) and (step.at or BEFORE_ALL) >= action.effective_at for step in steps):
        raise TradedAfterSymbolChange(action.symbol, portfolio_name)


def _book_dividend(booking: ActionBooking, keys: list[PositionKey]) -> None:
    action, base = booking.action, booking.portfolio.base_currency
    currency, at = action.currency or base, action.effective_at
    quantities = [replay_to_close(booking.list_steps(key), at).quantity for key in keys]
    if not any(quantities):
        return
    rate = None if currency == base else booking.find_rate(currency)
    dividends = [compute_dividend(quantity, action, rate) for quantity in quantities]
    terms = f"{_format_amount(action.amount or ZERO)} {currency}" + (
        "" if rate is None else f" at {_format_amount(rate)}"
    )
    amounts = {
        CashKind.DIVIDEND: sum((dividend.gross for dividend in dividends), ZERO),
        CashKind.WITHHOLDING: -sum((dividend.withheld for dividend in dividends), ZERO),
    }
    _append_movements(booking, amounts, f"{_format_amount(sum(quantities, ZERO))} {action.symbol} × {terms}")


def _format_amount(amount: Decimal) -> str:
    return shorten_quantity(format_fixed(amount))


def _build_cashless_entry(
    action: CorporateActionTerms,
    key: PositionKey,
    position: Position,
    price: Decimal,
    gmv: Decimal,
    fx_rate: Decimal | None,
) -> TradeEntry:
    """Return the entry of a row that moves no cash. `position` is the one before the action."""
    return TradeEntry(
        kind=SPLIT if action.kind is ActionKind.SPLIT else TRANSFER,
        symbol=key.symbol,
        product=key.product,
        side=(Side.BUY if position.quantity > 0 else Side.SELL).value,
        quantity=abs(position.quantity),
        price=price,
        gmv=gmv,
        charges=ZERO,
        cash_delta=ZERO,
        trades=0,
        buys=0,
        note=f"Corporate action {action.id}",
        reverses=None,
        currency=position.currency,
        fx_rate=fx_rate,
        executed_at=action.effective_at,
    )


def _append_row(
    booking: ActionBooking, key: PositionKey, entry: TradeEntry, after: Position, part: str = ""
) -> TradeRow:
    """Append a row under a separate key."""
    action_id = booking.action.id
    origin = booking.origin._replace(
        idempotency_key=build_row_key(action_id, key.product, part),
        request_hash=hash_request(action_id, key.symbol, key.product, part),
    )
    return booking.batch.append(booking.portfolio, origin, entry, after)


def _get_price_and_rate(
    booking: ActionBooking, key: PositionKey, position: Position
) -> tuple[Decimal, Decimal | None]:
    """Return the last price of the position and the rate of its cost, None in the portfolio's currency."""
    price, last_rate = booking.inputs.last_prices[key]
    if position.currency is None:
        return price, None
    rate = divide(position.cost, position.local_cost) if position.local_cost else ZERO
    return price, rate if rate > 0 else last_rate


def _require_one_currency(after: Position, name: str) -> None:
    if after.quantity and after.currency == MIXED:
        raise MixesCurrencies(name)
