"""Run the checks in order. The first that fails denies, and the largest passing quantity is computed."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from importlib import import_module
from typing import NamedTuple

from app.money import ZERO
from app.risk.rules.nearest_price import nearest_price
from app.risk.rules.values import Denial, RiskInput

Check = Callable[[RiskInput, Decimal], Denial | None]

# The order of the checks. To add one, add a module to `checks` and a line here.
ORDER = (
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
CHECKS: tuple[tuple[str, Check], ...] = tuple(
    (name, import_module(f"app.risk.rules.checks.{name}").check) for name in ORDER
)
_FUNCTIONS = tuple(check for _, check in CHECKS)
# An exit only reduces a position: only these checks apply, at its entry's ticket and when it is changed.
EXIT_CHECKS = ("permission", "instrument", "increments", "price_range", "open_orders")
EXIT_CHANGE_CHECKS = ("permission", "instrument", "increments", "price_range", "price_collar", "trail")
# A closing order only reduces too; permissions and self-matching apply to it as well. Outside its session it
# waits for the open.
CLOSE_CHECKS = ("kill_switch", "permission", "instrument", "increments", "self_match")
_CLOSE = tuple(check for name, check in CHECKS if name in CLOSE_CHECKS)
_EXIT = tuple(check for name, check in CHECKS if name in EXIT_CHECKS)
_EXIT_CHANGE = tuple(check for name, check in CHECKS if name in EXIT_CHANGE_CHECKS)
_MOST = Decimal(10) ** 12  # units; a headroom above it counts as unlimited


class Headroom(NamedTuple):
    """The result of one check for an order.

    `largest_passing` is the largest quantity that this check alone would pass, None if unlimited. `code`,
    `limit` and `message` describe the nearest bound.
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
    denial = _first_denial(risk, risk.order.quantity, _FUNCTIONS)
    if denial is None:
        return None
    priced = _with_nearest_price(risk, denial)
    if priced is not None:
        return priced
    return denial._replace(largest_passing=_largest(risk, _FUNCTIONS, risk.order.quantity))


def evaluate_exit(risk: RiskInput, *, is_change: bool = False) -> Denial | None:
    """Return the first denial of an exit. No limit of size, value, exposure or loss applies to it."""
    denial = _first_denial(risk, risk.order.quantity, _EXIT_CHANGE if is_change else _EXIT)
    return denial and (_with_nearest_price(risk, denial) or denial)


def evaluate_close(risk: RiskInput) -> Denial | None:
    """Return the first denial of a closing order. No limit for opening orders applies to it."""
    denial = _first_denial(risk, risk.order.quantity, _CLOSE)
    return denial and denial._replace(largest_passing=_largest(risk, _CLOSE, risk.order.quantity))


def largest_passing(risk: RiskInput) -> Decimal:
    """Return the largest quantity up to the order's that passes all checks, rounded down to the lot size."""
    return _largest(risk, _FUNCTIONS, risk.order.quantity)


def list_headrooms(risk: RiskInput) -> list[Headroom]:
    """Return the headroom of every check, in their order."""
    return [_headroom(risk, name, check) for name, check in CHECKS]


def _with_nearest_price(risk: RiskInput, denial: Denial) -> Denial | None:
    """Return the denial with the nearest passing price, None if no price is at fault or none passes."""
    price = nearest_price(risk, denial)
    return None if price is None else denial._replace(largest_passing=None, nearest_price=price)


def _headroom(risk: RiskInput, name: str, check: Check) -> Headroom:
    alone = (check,)
    denial = _first_denial(risk, risk.order.quantity, alone)
    largest = _largest(risk, alone, _MOST)
    bound = denial or _first_denial(risk, largest + _lot(risk), alone)
    if bound is None:
        return Headroom(name, passes=True, largest_passing=None)
    bounded = largest if largest < _MOST - _lot(risk) else None
    return Headroom(name, denial is None, bounded, bound.code, bound.limit, denial and denial.message)


def _first_denial(risk: RiskInput, quantity: Decimal, checks: Sequence[Check]) -> Denial | None:
    for check in checks:
        denial = check(risk, quantity)
        if denial is not None and denial.code not in risk.waived:
            return denial
    return None


def _largest(risk: RiskInput, checks: Sequence[Check], most: Decimal) -> Decimal:
    """Return the largest quantity that passes the checks, by bisecting on each check that denies.

    This relies on checks passing every smaller quantity than one they pass.
    """
    lot = _lot(risk)
    lots = int(most // lot)
    while lots:
        quantity = lots * lot
        denying = next((one for one in checks if _first_denial(risk, quantity, (one,))), None)
        if denying is None:
            return quantity
        lots = _bisected(risk, (denying,), lot, lots - 1)
    return ZERO


def _bisected(risk: RiskInput, checks: Sequence[Check], lot: Decimal, high: int) -> int:
    """Return the largest number of lots, at most `high`, that passes the checks."""
    low = 0
    while low < high:
        middle = (low + high + 1) // 2
        if _first_denial(risk, middle * lot, checks) is None:
            low = middle
        else:
            high = middle - 1
    return low


def _lot(risk: RiskInput) -> Decimal:
    return risk.instrument.lot_size if risk.instrument else Decimal(1)
