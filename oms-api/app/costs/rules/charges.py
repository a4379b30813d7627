"""The charges of a fill.

Every component is a function of the filled totals of an order, rounded on the total. A fill is charged the
difference between the components before and after it. Caps and minimums therefore apply once per order. US
fees are functions of the totals of a portfolio and New York day in the same way.
"""

from decimal import Decimal

from app.costs.rules.markets import is_covered
from app.costs.rules.rates import Rate, RateTable
from app.costs.rules.values import (
    ChargedExecution,
    Charges,
    ChargeTotals,
    DayTotals,
    FillCharges,
    OrderTerms,
    OrderTotals,
    Schedule,
)
from app.money import ZERO, multiply_exactly, round_to_nearest_step, round_up_to_step

RatesByComponent = dict[str, Rate]
"""The rates that apply to an order, by component."""

MAX_SQUARE_OFF_SHARES = Decimal(30_000)  # Zerodha splits a larger position into child orders
_US_FEES = ("sec", "finra_taf", "cat")
_SOURCES: dict[Schedule, tuple[tuple[Schedule, tuple[str, ...]], ...]] = {
    Schedule.NONE: (),
    Schedule.ZERODHA: (
        (Schedule.ZERODHA, ("brokerage", "stt", "exchange", "sebi", "gst", "stamp_duty", "square_off")),
    ),
    Schedule.US_EQUITY: ((Schedule.US_EQUITY, _US_FEES),),
    Schedule.IBKR_FIXED: (
        (Schedule.IBKR_FIXED, ("commission", "commission_cap")),
        (Schedule.US_EQUITY, _US_FEES),
    ),
}
_DELIVERY = "CNC"
_NOTHING = ChargeTotals()  # totals that cost nothing, whatever the rates


def get_rates(order: OrderTerms, table: RateTable) -> RatesByComponent:
    """Return the rates of the order, or none if its schedule does not cover it.

    Raises RateUnknown if the table begins after the order's day.
    """
    cached_rates = table.cached_rates
    if cached_rates is None:
        return _read_rates(order, table)
    if order not in cached_rates:
        cached_rates[order] = _read_rates(order, table)
    return cached_rates[order]


def _read_rates(order: OrderTerms, table: RateTable) -> RatesByComponent:
    if not is_covered(order):
        return {}
    terms = (order.on, order.exchange, order.product or _DELIVERY, order.side)
    rates = {
        component: table.find(schedule, component, *terms)
        for schedule, components in _SOURCES[order.schedule]
        for component in components
        if component != "square_off" or order.is_square_off
    }
    return {component: rate for component, rate in rates.items() if rate is not None}


def compute_fill_charges(
    order: OrderTerms, before: ChargeTotals, execution: ChargedExecution, table: RateTable
) -> FillCharges:
    """Return the charges of an execution after the totals `before`, and the totals after it.

    Raises RateUnknown.
    """
    rates = get_rates(order, table)
    after = ChargeTotals(
        OrderTotals(before.order.quantity + execution.quantity, before.order.value + execution.value),
        _add_to_day(before.day, execution, rates),
    )
    charges = _compute_charges_up_to(after, rates)
    return FillCharges(
        charges if before == _NOTHING else charges - _compute_charges_up_to(before, rates), after
    )


def compute_dp_charge(order: OrderTerms, table: RateTable) -> Decimal:
    """Return the depository charge of a delivery sale.

    It applies once per scrip and day beside the fill charges. Raises RateUnknown.
    """
    if not is_covered(order):
        return ZERO
    product = order.product or _DELIVERY
    rate = table.find(order.schedule, "dp_charge", order.on, order.exchange, product, order.side)
    return rate.rate if rate else ZERO


def _add_to_day(day: DayTotals, execution: ChargedExecution, rates: RatesByComponent) -> DayTotals:
    """Add an execution to the totals of the fees that apply to its order."""
    return DayTotals(
        day.quantity + (execution.quantity if "cat" in rates else ZERO),
        day.sell_value + (execution.value if "sec" in rates else ZERO),
        day.trading_activity_fee + _compute_bounded_fee(execution.quantity, rates.get("finra_taf")),
    )


def _compute_charges_up_to(totals: ChargeTotals, rates: RatesByComponent) -> Charges:
    order_totals = totals.order
    brokerage = _compute_rounded_fee(order_totals.value, rates.get("brokerage"))
    exchange = _compute_rounded_fee(order_totals.value, rates.get("exchange"))
    sebi = _compute_rounded_fee(order_totals.value, rates.get("sebi"))
    is_square_off = "square_off" in rates
    square_off = (
        _compute_rounded_fee(_count_child_orders(order_totals.quantity), rates["square_off"])
        if is_square_off
        else ZERO
    )
    return Charges(
        brokerage=brokerage,
        stt=_compute_rounded_fee(order_totals.value, rates.get("stt")),
        exchange=exchange,
        sebi=sebi,
        gst=_compute_rounded_fee(brokerage + exchange + sebi + square_off, rates.get("gst")),
        stamp_duty=_compute_rounded_fee(order_totals.value, rates.get("stamp_duty")),
        square_off=square_off,
        commission=_compute_commission(order_totals, rates),
        regulatory=_compute_us_fees(totals.day, rates) if not rates.keys().isdisjoint(_US_FEES) else ZERO,
    )


def _count_child_orders(quantity: Decimal) -> Decimal:
    """Return the number of square-off child orders that have at least partly filled."""
    return round_up_to_step(quantity, MAX_SQUARE_OFF_SHARES) / MAX_SQUARE_OFF_SHARES


def _compute_commission(order_totals: OrderTotals, rates: RatesByComponent) -> Decimal:
    """Return IBKR's commission. The cap, a percentage of the value, takes precedence over the minimum."""
    commission = _compute_rounded_fee(order_totals.quantity, rates.get("commission"))
    cap = rates.get("commission_cap")
    return min(commission, _compute_rounded_fee(order_totals.value, cap)) if cap else commission


def _compute_us_fees(day: DayTotals, rates: RatesByComponent) -> Decimal:
    """Return the sum of a day's US fees so far, each rounded up."""
    amounts = {
        "sec": _compute_bounded_fee(day.sell_value, rates.get("sec")),
        "finra_taf": day.trading_activity_fee,
        "cat": _compute_bounded_fee(day.quantity, rates.get("cat")),
    }
    return sum((round_up_to_step(amounts[name], rates[name].step) for name in amounts if name in rates), ZERO)


def _compute_rounded_fee(base: Decimal, rate: Rate | None) -> Decimal:
    return round_to_nearest_step(_compute_bounded_fee(base, rate), rate.step) if rate else ZERO


def _compute_bounded_fee(base: Decimal, rate: Rate | None) -> Decimal:
    if rate is None or not base:
        return ZERO
    amount = multiply_exactly(base, rate.factor)
    if rate.minimum is not None:
        amount = max(amount, rate.minimum)
    return amount if rate.maximum is None else min(amount, rate.maximum)
