"""Corporate actions: splits, symbol changes and cash dividends, and their effect on a position.

An action takes effect at `effective_at`, the beginning of its ex-date in the instrument's market, and acts on
the fills executed before it. An action that is recorded late is put in its place: the fills executed since
then follow it, in the order of the ledger.
"""

from collections.abc import Callable, Iterable
from decimal import ROUND_DOWN, Decimal
from enum import StrEnum
from typing import NamedTuple, TypeVar

from app.ledger.rules.accounting import FLAT, Fill, Position, apply_fill, get_later_timestamp
from app.money import ZERO, compute_share, divide, multiply
from app.timestamps import BEFORE_ALL, Timestamp

KEY_PREFIX = "§corporate-action:"  # no request can send a key that is not ASCII
SPLIT, TRANSFER = "split", "transfer"
ACTION_ROW_KINDS = frozenset({SPLIT, TRANSFER})  # kinds of ledger rows
_HUNDRED = Decimal(100)
_ONE = Decimal(1)
_SMALLEST = Decimal("0.00000001")
RowT = TypeVar("RowT")


class ActionKind(StrEnum):
    """The kind of a corporate action."""

    SPLIT = "split"
    SYMBOL_CHANGE = "symbol_change"
    DIVIDEND = "dividend"


class CorporateActionTerms(NamedTuple):
    """The terms of a corporate action. Instants and dates are text.

    A split gives `new_units` for `old_units`; 1 for 10 is a reverse split. A fraction of a unit is paid in
    cash at `cash_in_lieu_price` per new unit, None for the position's average cost. A dividend pays `amount`
    of `currency` for each unit; long positions lose `withholding_percent` of it.
    """

    tenant_id: int
    id: str
    kind: ActionKind
    symbol: str
    effective_at: Timestamp
    ex_date: str
    new_symbol: str | None = None
    new_units: Decimal | None = None
    old_units: Decimal | None = None
    amount: Decimal | None = None
    withholding_percent: Decimal | None = None
    cash_in_lieu_price: Decimal | None = None
    currency: str | None = None

    @property
    def ratio(self) -> "Ratio":
        """New and old units of a split."""
        return Ratio(self.new_units or _ONE, self.old_units or _ONE)


class Ratio(NamedTuple):
    """The units after a split for the units before it."""

    new_units: Decimal
    old_units: Decimal


class Split(NamedTuple):
    """A split at an instant."""

    at: Timestamp
    ratio: Ratio


class TransferOut(NamedTuple):
    """The end of a symbol: the position continues under another one."""

    at: Timestamp


class TransferIn(NamedTuple):
    """The beginning of a symbol: the position under the previous one, as a fill at its cost."""

    at: Timestamp
    fill: Fill


class FractionSale(NamedTuple):
    """The cash in lieu of the fraction that a split leaves, as a fill. It belongs to its split."""

    at: Timestamp
    fill: Fill


Adjustment = Split | TransferOut | TransferIn | FractionSale
Step = Fill | Adjustment


class CashDividend(NamedTuple):
    """A dividend of a position in the portfolio's currency. A short position pays: `gross` is negative."""

    gross: Decimal
    withheld: Decimal


def apply_step(position: Position, step: Step) -> Position:
    """Return the position after a fill or an adjustment."""
    if isinstance(step, Split):
        return apply_split(position, step)
    if isinstance(step, TransferOut):
        return _close_position(position, step.at) if position.quantity else position
    return apply_fill(position, step if isinstance(step, Fill) else step.fill)


def apply_split(position: Position, split: Split) -> Position:
    """Return the position with the quantity multiplied, and cost and realized P&L unchanged.

    If less than the smallest quantity is left, the position is flat and its cost is lost.
    """
    if not position.quantity:
        return position
    quantity = compute_share(position.quantity, *split.ratio)
    if not quantity:
        realized_pnl = position.realized_pnl - position.cost
        return _close_position(position, split.at)._replace(realized_pnl=realized_pnl)
    last = get_later_timestamp(position.last_executed_at, split.at)
    return position._replace(quantity=quantity, last_executed_at=last)


def _close_position(position: Position, at: Timestamp) -> Position:
    last = get_later_timestamp(position.last_executed_at, at)
    return Position(ZERO, ZERO, position.realized_pnl, closed_at=at, last_executed_at=last)


def sort_steps(steps: Iterable[Step]) -> list[Step]:
    """Return the steps of a ledger in the order in which they take effect."""
    return sort_by_effect(steps, lambda step: step)


def sort_by_effect(items: Iterable[RowT], step_of: Callable[[RowT], Step]) -> list[RowT]:
    """Return the rows of a ledger in the order in which they take effect.

    An adjustment goes before the earlier rows that were executed at its instant or later.
    """
    ordered: list[RowT] = []
    for item in items:
        step = step_of(item)
        if isinstance(step, Fill):
            ordered.append(item)
        else:
            is_before = [_precedes(step_of(item), step.at) for item in ordered]
            before = [item for item, first in zip(ordered, is_before, strict=True) if first]
            after = [item for item, first in zip(ordered, is_before, strict=True) if not first]
            ordered = [*before, item, *after]
    return ordered


def _precedes(step: Step, at: Timestamp) -> bool:
    """Return whether a step takes effect before an adjustment at `at`.

    Of two adjustments at one instant, the earlier row takes effect first.
    """
    return (step.at or BEFORE_ALL) < at if isinstance(step, Fill) else step.at <= at


def replay_steps(steps: Iterable[Step]) -> Position:
    """Return the position after the steps of a ledger."""
    position = FLAT
    for step in sort_steps(steps):
        position = apply_step(position, step)
    return position


def replay_before(steps: Iterable[Step], at: Timestamp) -> Position:
    """Return the position on which a new split or symbol change at `at` acts."""
    return replay_steps(step for step in sort_steps(steps) if _precedes(step, at))


def replay_to_close(steps: Iterable[Step], at: Timestamp) -> Position:
    """Return the position to which a dividend at `at` is paid: without splits and changes of that instant.

    Units that were transferred to its symbol at that instant count.
    """
    return replay_steps(
        step
        for step in sort_steps(steps)
        if (step.at or BEFORE_ALL) < at or (isinstance(step, TransferIn) and step.at == at)
    )


def compute_fraction(held_quantity: Decimal, ratio: Ratio) -> Decimal:
    """Return the signed fraction of a unit that a split leaves of `held_quantity`, to be paid in cash.

    A position in whole units stays whole. A position that already has a fraction keeps it.
    """
    if held_quantity % _ONE:
        return ZERO
    quantity = compute_share(held_quantity, *ratio)
    return quantity - quantity.quantize(_ONE, ROUND_DOWN)


def compute_fraction_price(
    action: CorporateActionTerms, position: Position, quantity: Decimal
) -> tuple[Decimal, Decimal]:
    """Return price and value of a fraction: at the action's price, else at the average cost."""
    if action.cash_in_lieu_price is not None:
        return action.cash_in_lieu_price, multiply(quantity, action.cash_in_lieu_price)
    cost = abs(position.cost if position.currency is None else position.local_cost)
    value = compute_share(cost, quantity, abs(compute_share(position.quantity, *action.ratio)))
    return max(divide(value, quantity), _SMALLEST), value


def compute_dividend(
    held_quantity: Decimal, action: CorporateActionTerms, rate: Decimal | None
) -> CashDividend:
    """Return the dividend of a signed quantity. `rate` converts its currency to the portfolio's."""
    gross = multiply(held_quantity, action.amount or ZERO)
    if rate is not None:
        gross = multiply(gross, rate)
    withheld = (
        compute_share(gross, action.withholding_percent or ZERO, _HUNDRED) if held_quantity > 0 else ZERO
    )
    return CashDividend(gross, withheld)


def build_row_key(action_id: str, product_name: str, part: str = "") -> str:
    """Return the key of a ledger row that an action books: one for each position and part."""
    return f"{KEY_PREFIX}{action_id}:{product_name}{part}"


def parse_action_key(key: str | None) -> str | None:
    """Return the id of the action that booked a row, None for another row."""
    if key is None or not key.startswith(KEY_PREFIX):
        return None
    return key.removeprefix(KEY_PREFIX).partition(":")[0]
