"""The thresholds of price alerts by symbol, sorted, so that a quote is compared with few of them."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Collection
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from app.alerts.rules.conditions import Alert, Direction, Transition, apply_transition, get_next_threshold
from app.instruments.rules import InstrumentKey

_LAST_ID = "\U0010ffff"  # sorts after every id


class AlertKey(NamedTuple):
    """An alert of a tenant."""

    tenant_id: int
    id: str


class _SymbolThresholds:
    """The thresholds of a symbol, in ascending order, each with the id of its alert.

    A price at or above a threshold of `rising`, or at or below a threshold of `falling`, is a transition.
    """

    __slots__ = ("falling", "rising")

    def __init__(self) -> None:
        self.rising: list[tuple[Decimal, str]] = []
        self.falling: list[tuple[Decimal, str]] = []

    def get_side(self, direction: Direction) -> list[tuple[Decimal, str]]:
        """Return the thresholds of transitions on that side."""
        return self.rising if direction is Direction.ABOVE else self.falling

    def pop_due(self, price: Decimal) -> list[str]:
        """Remove and return the ids of the alerts with a transition at the price."""
        alert_ids: list[str] = []
        if self.rising and self.rising[0][0] <= price:
            end = bisect_right(self.rising, (price, _LAST_ID))
            alert_ids += [alert_id for _, alert_id in self.rising[:end]]
            del self.rising[:end]
        if self.falling and self.falling[-1][0] >= price:
            start = bisect_left(self.falling, (price, ""))
            alert_ids += [alert_id for _, alert_id in self.falling[start:]]
            del self.falling[start:]
        return alert_ids


class PriceThresholds:
    """All active price alerts. Not thread-safe."""

    def __init__(self) -> None:
        self._alerts: dict[AlertKey, Alert] = {}
        self._thresholds: dict[InstrumentKey, _SymbolThresholds] = {}

    def __len__(self) -> int:
        return len(self._alerts)

    @property
    def symbols(self) -> Collection[InstrumentKey]:
        """The symbols that have alerts."""
        return self._thresholds.keys()

    def set_alert(self, alert: Alert) -> None:
        """Add or replace an alert. An alert that is not active is removed."""
        key = AlertKey(alert.tenant_id, alert.id)
        self.remove(key)
        if not alert.is_active or alert.symbol is None:
            return
        self._alerts[key] = alert
        direction, threshold = get_next_threshold(alert)
        thresholds = self._thresholds.setdefault(
            InstrumentKey(alert.tenant_id, alert.symbol), _SymbolThresholds()
        )
        insort(thresholds.get_side(direction), (threshold, alert.id))

    def remove(self, key: AlertKey) -> None:
        """Remove an alert, if it is there."""
        alert = self._alerts.pop(key, None)
        if alert is None or alert.symbol is None:
            return
        symbol = InstrumentKey(alert.tenant_id, alert.symbol)
        thresholds = self._thresholds.get(symbol)
        if thresholds is None:  # all of its thresholds were due
            return
        direction, threshold = get_next_threshold(alert)
        side = thresholds.get_side(direction)
        entry = (threshold, alert.id)
        index = bisect_left(side, entry)
        if index < len(side) and side[index] == entry:
            del side[index]
        if not thresholds.rising and not thresholds.falling:
            del self._thresholds[symbol]

    def apply_price(self, key: InstrumentKey, price: Decimal, at: datetime) -> list[Transition]:
        """Apply a price to the alerts of its symbol, and return their transitions in order.

        A price that is older than an alert's last transition has no effect on it.
        """
        thresholds = self._thresholds.get(key)
        if thresholds is None:
            return []
        transitions = []
        for alert_id in thresholds.pop_due(price):
            alert = self._alerts[AlertKey(key.tenant_id, alert_id)]
            if alert.changed_at is not None and at < alert.changed_at:
                self.set_alert(alert)
                continue
            transition = Transition(alert, alert.is_armed, price, at)
            transitions.append(transition)
            self.set_alert(apply_transition(transition))
        return transitions
