"""Run the risk checks in order. The first check that fails denies the order; the denial suggests a remedy."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from importlib import import_module
from typing import NamedTuple

from app.money import ZERO
from app.risk.rules.nearest_price import find_nearest_price
from app.risk.rules.values import Denial, RiskInput

CheckFunction = Callable[[RiskInput, Decimal], Denial | None]

# The order of the checks. To add one, add a module to `checks` and a line here.
CHECK_ORDER = (
    "kill_switch",
    "reconciliation",
    "permission",
    "instrument",
    "increments",
    "session",
    "limits_set",
    "order_quantity",
    "price_range",
    "stale_quote",
    "trail",
    "rate",
    "order_value",
    "smallest_value",
    "price_collar",
    "position_value",
    "gross_exposure",
    "net_exposure",
    "short_selling",
    "buying_power",
    "repeat_order",
    "repeated_execution",
    "open_orders",
    "losses",
    "self_match",
)
CHECKS: tuple[tuple[str, CheckFunction], ...] = tuple(
    (name, import_module(f"app.risk.rules.checks.{name}").find_denial) for name in CHECK_ORDER
)
_ALL_CHECKS = tuple(check for _, check in CHECKS)
# An exit only reduces a position, so fewer checks apply: when its entry is placed, and when it is changed.
EXIT_CHECKS = ("permission", "instrument", "increments", "price_range", "open_orders")
EXIT_CHANGE_CHECKS = ("permission", "instrument", "increments", "price_range", "price_collar", "trail")
# A closing order only reduces a position too. It may trade with an open order of the portfolio, so the
# self-match check applies. Outside its session it waits for the open.
CLOSE_CHECKS = ("kill_switch", "permission", "instrument", "increments", "self_match")
_CLOSE = tuple(check for name, check in CHECKS if name in CLOSE_CHECKS)
_EXIT = tuple(check for name, check in CHECKS if name in EXIT_CHECKS)
_EXIT_CHANGE = tuple(check for name, check in CHECKS if name in EXIT_CHANGE_CHECKS)
_MAX_QUANTITY = Decimal(10) ** 12  # a check that passes this quantity does not limit the quantity


class Headroom(NamedTuple):
    """The result of one check for an order.

    `largest_passing` is the largest quantity that passes this check alone, None if the check does not limit
    it. `code` and `limit` are those of the nearest denial. `message` is None if the check passes.
    """

    check: str
    passes: bool
    largest_passing: Decimal | None
    code: str | None = None
    limit: Decimal | str | None = None
    message: str | None = None


def evaluate_order(risk: RiskInput) -> Denial | None:
    """Return the first denial, or None if all checks pass.

    The denial has the nearest passing price if a price is at fault, else the largest passing quantity.
    """
    denial = _find_first_denial(risk, risk.order.quantity, _ALL_CHECKS)
    if denial is None:
        return None
    priced = _add_nearest_price(risk, denial)
    if priced is not None:
        return priced
    return denial._replace(largest_passing=_find_largest_quantity(risk, _ALL_CHECKS, risk.order.quantity))


def evaluate_exit(risk: RiskInput, *, is_change: bool = False) -> Denial | None:
    """Return the first denial of an exit. No limit of size, value, exposure or loss applies to it."""
    denial = _find_first_denial(risk, risk.order.quantity, _EXIT_CHANGE if is_change else _EXIT)
    return denial and (_add_nearest_price(risk, denial) or denial)


def evaluate_close(risk: RiskInput) -> Denial | None:
    """Return the first denial of a closing order. No limit for opening orders applies to it."""
    denial = _find_first_denial(risk, risk.order.quantity, _CLOSE)
    return denial and denial._replace(
        largest_passing=_find_largest_quantity(risk, _CLOSE, risk.order.quantity)
    )


def compute_largest_passing(risk: RiskInput) -> Decimal:
    """Return the largest quantity up to the order's that passes all checks, rounded down to the lot size."""
    return _find_largest_quantity(risk, _ALL_CHECKS, risk.order.quantity)


def list_headrooms(risk: RiskInput) -> list[Headroom]:
    """Return the headroom of every check, in their order."""
    return [_compute_headroom(risk, name, check) for name, check in CHECKS]


def _add_nearest_price(risk: RiskInput, denial: Denial) -> Denial | None:
    """Return the denial with the nearest passing price, None if no price is at fault or none passes."""
    price = find_nearest_price(risk, denial)
    return None if price is None else denial._replace(largest_passing=None, nearest_price=price)


def _compute_headroom(risk: RiskInput, name: str, check: CheckFunction) -> Headroom:
    only_this = (check,)
    denial = _find_first_denial(risk, risk.order.quantity, only_this)
    largest = _find_largest_quantity(risk, only_this, _MAX_QUANTITY)
    nearest_denial = denial or _find_first_denial(risk, largest + _get_lot_size(risk), only_this)
    if nearest_denial is None:
        return Headroom(name, passes=True, largest_passing=None)
    limited = largest if largest < _MAX_QUANTITY - _get_lot_size(risk) else None
    return Headroom(
        name, denial is None, limited, nearest_denial.code, nearest_denial.limit, denial and denial.message
    )


def _find_first_denial(risk: RiskInput, quantity: Decimal, checks: Sequence[CheckFunction]) -> Denial | None:
    for check in checks:
        denial = check(risk, quantity)
        if denial is not None and denial.code not in risk.waived:
            return denial
    return None


def _find_largest_quantity(
    risk: RiskInput, checks: Sequence[CheckFunction], max_quantity: Decimal
) -> Decimal:
    """Return the largest quantity that passes the checks, by bisecting on each check that denies.

    It requires that a check which passes a quantity passes every smaller quantity.
    """
    lot = _get_lot_size(risk)
    lots = int(max_quantity // lot)
    while lots:
        quantity = lots * lot
        denying_check = next(
            (check for check in checks if _find_first_denial(risk, quantity, (check,))), None
        )
        if denying_check is None:
            return quantity
        lots = _bisect_lots(risk, (denying_check,), lot, lots - 1)
    return ZERO


def _bisect_lots(risk: RiskInput, checks: Sequence[CheckFunction], lot: Decimal, max_lots: int) -> int:
    """Return the largest number of lots, at most `max_lots`, that passes the checks."""
    low, high = 0, max_lots
    while low < high:
        middle = (low + high + 1) // 2
        if _find_first_denial(risk, middle * lot, checks) is None:
            low = middle
        else:
            high = middle - 1
    return low


def _get_lot_size(risk: RiskInput) -> Decimal:
    return risk.instrument.lot_size if risk.instrument else Decimal(1)
