"""Restate an open order after a split: quantity × ratio, prices ÷ ratio, rounded away from the market."""

from collections.abc import Mapping
from decimal import ROUND_DOWN, Decimal
from typing import NamedTuple

from app.ledger.rules.corporate_actions import Ratio
from app.money import compute_share, format_fixed, round_down_to_step, round_to_nearest_step
from app.orders.rules.exit_prices import round_to_tick
from app.orders.rules.values import Order, replace_fields

_ONE = Decimal(1)
_RESTATED_FIELDS = ("quantity", "limit_price", "stop_price")
_PREVIOUS_TERMS_PREFIX = "Before: "


class InstrumentIncrements(NamedTuple):
    """The tick size and the lot size of an instrument."""

    tick_size: Decimal
    lot_size: Decimal


class RestatedOrder(NamedTuple):
    """The terms of an order after a split. A trailing stop has a trail amount and a trail level."""

    quantity: Decimal
    limit_price: Decimal | None
    stop_price: Decimal | None
    trail_amount: Decimal | None
    trail_level: Decimal | None


def restate_order(order: Order, ratio: Ratio, increments: InstrumentIncrements) -> RestatedOrder | None:
    """Return the terms of an open order after a split, None if less than a lot of it remains.

    The quantity and the value that were filled before the split do not change.
    """
    leaves = _restate_quantity(order.leaves_quantity, ratio, increments.lot_size)
    if not leaves:
        return None
    prices = {
        name: _restate_price(getattr(order, name), ratio, increments.tick_size)
        for name in ("limit_price", "stop_price")
    }
    rounded = round_to_tick(replace_fields(order, **prices), increments.tick_size)
    trail_amount, trail_level = (
        None
        if price is None
        else max(round_to_nearest_step(price, increments.tick_size), increments.tick_size)
        for price in (_divide(order.trail_amount, ratio), _divide(order.trail_level, ratio))
    )
    restated_prices = prices | rounded
    return RestatedOrder(
        order.filled_quantity + leaves,
        restated_prices["limit_price"],
        restated_prices["stop_price"],
        trail_amount,
        trail_level,
    )


def restore_order(
    order: Order, previous: Mapping[str, Decimal | None], ratio: Ratio, increments: InstrumentIncrements
) -> RestatedOrder | None:
    """Return the terms that an order had before a split, None if the order was changed after the split.

    `previous` are the terms that the split restated. The trail level is the current level in the old units.
    """
    previous_order = replace_fields(order, **previous)
    restated = restate_order(previous_order, ratio, increments)
    compared_names = (*_RESTATED_FIELDS, "trail_amount")
    if restated is None or any(getattr(restated, name) != getattr(order, name) for name in compared_names):
        return None
    level = _divide(order.trail_level, Ratio(ratio.old_units, ratio.new_units))
    if level is not None:
        level = max(round_to_nearest_step(level, increments.tick_size), increments.tick_size)
    return RestatedOrder(
        previous_order.quantity,
        previous_order.limit_price,
        previous_order.stop_price,
        previous_order.trail_amount,
        level,
    )


def format_terms(order: Order) -> str:
    """Return the terms that a split restates, for the order's history."""
    prices = ((name, getattr(order, name)) for name in _RESTATED_FIELDS)
    return _PREVIOUS_TERMS_PREFIX + " ".join(
        f"{name}={format_fixed(value)}" for name, value in prices if value is not None
    )


def parse_terms(formatted_terms: str) -> dict[str, Decimal]:
    """Return the terms that `format_terms` wrote."""
    terms = (term.partition("=") for term in formatted_terms.removeprefix(_PREVIOUS_TERMS_PREFIX).split())
    return {name: Decimal(value) for name, _, value in terms}


def _restate_quantity(leaves: Decimal, ratio: Ratio, lot_size: Decimal) -> Decimal:
    """Return the quantity in whole lots; an order of whole units keeps whole units."""
    quantity = round_down_to_step(compute_share(leaves, *ratio), lot_size)
    return quantity if leaves % _ONE else quantity.quantize(_ONE, ROUND_DOWN)


def _restate_price(price: Decimal | None, ratio: Ratio, tick_size: Decimal) -> Decimal | None:
    divided = _divide(price, ratio)
    return None if divided is None else max(divided, tick_size)


def _divide(price: Decimal | None, ratio: Ratio) -> Decimal | None:
    return None if price is None else compute_share(price, ratio.old_units, ratio.new_units)
