"""The conditions under which an alert fires and is armed again.

An alert fires when its value reaches the threshold or passes it. It is then disarmed, so that it fires once
per crossing. A repeating alert is armed again when the value has moved back by more than noise: see
`compute_rearm_threshold`.
"""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from app.money import multiply_exactly

PRICE_REARM_SHARE = Decimal("0.001")  # of the threshold
REARM_SHARE = Decimal("0.01")  # of the threshold
MIN_PNL_REARM = Decimal(1)  # in the portfolio's currency


class AlertKind(StrEnum):
    """The value that an alert watches.

    `PRICE`: the last price of the symbol, else the mid. `DAY_PNL`: the P&L since the last close, in the
    portfolio's currency. `DRAWDOWN`: the loss since the highest equity, in percent of it. `LIMIT_USE`: the
    use of the portfolio's most used limit, in percent of the limit.
    """

    PRICE = "price"
    DAY_PNL = "day_pnl"
    DRAWDOWN = "drawdown"
    LIMIT_USE = "limit_use"


class Direction(StrEnum):
    """On which side of the threshold the condition is true; the threshold itself belongs to both."""

    ABOVE = "above"
    BELOW = "below"


class Alert(NamedTuple):
    """An alert with its state.

    A price alert has a symbol, the others have a portfolio. `owner` is the actor who created it, `deliver_to`
    "me" or a Slack channel. `firing` counts how often it fired. `changed_at` is the time of the value that
    disarmed or armed it last.
    """

    tenant_id: int
    id: str
    owner: str
    kind: AlertKind
    symbol: str | None
    portfolio_id: int | None
    direction: Direction
    threshold: Decimal
    is_repeating: bool
    deliver_to: str
    is_active: bool
    is_armed: bool
    firing: int
    value: Decimal | None
    fired_at: datetime | None
    changed_at: datetime | None
    created_at: datetime
    updated_at: datetime


class Transition(NamedTuple):
    """An alert that fires, or is armed again, at a value of an instant."""

    alert: Alert
    is_firing: bool
    value: Decimal
    at: datetime


def find_transition(alert: Alert, value: Decimal, at: datetime) -> Transition | None:
    """Return the transition of an active alert at that value, None if there is none."""
    if alert.is_armed:
        is_due = _has_reached(alert.direction, alert.threshold, value)
    else:
        is_due = _has_reached(_get_opposite(alert.direction), compute_rearm_threshold(alert), value)
    return Transition(alert, alert.is_armed, value, at) if is_due else None


def apply_transition(transition: Transition) -> Alert:
    """Return the alert after the transition. An alert that does not repeat ends with its first firing."""
    alert, is_firing, value, at = transition
    if not is_firing:
        return alert._replace(is_armed=True, changed_at=at)
    return alert._replace(
        is_armed=False,
        is_active=alert.is_repeating,
        firing=alert.firing + 1,
        value=value,
        fired_at=at,
        changed_at=at,
    )


def get_next_threshold(alert: Alert) -> tuple[Direction, Decimal]:
    """Return the threshold of the alert's next transition, and on which side of it the transition is due."""
    if alert.is_armed:
        return alert.direction, alert.threshold
    return _get_opposite(alert.direction), compute_rearm_threshold(alert)


def compute_rearm_threshold(alert: Alert) -> Decimal:
    """Return the value at which a disarmed alert is armed again.

    It lies off the threshold by 0.1% of a price, else by 1%; of a P&L by at least MIN_PNL_REARM.
    """
    share = PRICE_REARM_SHARE if alert.kind is AlertKind.PRICE else REARM_SHARE
    band = multiply_exactly(abs(alert.threshold), share)
    if alert.kind is AlertKind.DAY_PNL:
        band = max(band, MIN_PNL_REARM)
    return alert.threshold - band if alert.direction is Direction.ABOVE else alert.threshold + band


def _has_reached(direction: Direction, threshold: Decimal, value: Decimal) -> bool:
    return value >= threshold if direction is Direction.ABOVE else value <= threshold


def _get_opposite(direction: Direction) -> Direction:
    return Direction.BELOW if direction is Direction.ABOVE else Direction.ABOVE
