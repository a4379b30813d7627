"""The legs of an account's orders, and the events of legs that came before their ids were known."""

import threading
from collections.abc import Iterable, Sequence

from app.brokers.alpaca.rules.leg_registry import LegRegistry
from app.brokers.rules.linked_orders import LegLink
from app.brokers.rules.order_reports import OrderReport, OrderUpdate

MAX_WAITING_UPDATES = 1000  # including updates of linked orders that another program sent


class SharedLegRegistry:
    """A `LegRegistry` of an account. Thread-safe."""

    def __init__(self) -> None:
        self._registry = LegRegistry()
        self._lock = threading.RLock()
        self._updates: list[OrderUpdate] = []

    def add(self, links: Iterable[LegLink]) -> None:
        """Note legs that were, or are about to be, sent."""
        with self._lock:
            self._registry.add(links)

    def remove(self, primary_id: str) -> None:
        """Forget the legs of an order that was not sent."""
        with self._lock:
            self._registry.remove(primary_id)

    def find_primary(self, leg_id: str) -> str | None:
        """Return the order that a leg was sent with, None for an order that is not a leg."""
        with self._lock:
            return self._registry.find_primary(leg_id)

    def find_broker_id(self, leg_id: str) -> str | None:
        """Return Alpaca's id of a leg, None if it was not reported yet."""
        with self._lock:
            return self._registry.find_broker_id(leg_id)

    def list_legs(self, primary_id: str) -> list[str]:
        """Return the legs of an order."""
        with self._lock:
            return self._registry.list_legs(primary_id)

    def list_group(self, order_id: str) -> list[str]:
        """Return the orders that were sent together with an order, and the order itself."""
        with self._lock:
            return self._registry.list_group(order_id)

    def list_unreported(self) -> list[LegLink]:
        """Return the links of the legs whose ids at Alpaca are not known, the oldest first."""
        with self._lock:
            return self._registry.list_unreported()

    def remove_unreported_ended_legs(self) -> None:
        """Forget the legs that have ended here and that Alpaca did not report when they were read."""
        with self._lock:
            self._registry.remove_unreported_ended_legs()

    def assign_order_ids(self, reports: Iterable[OrderReport]) -> list[OrderReport]:
        """Return reports and the reports of their legs, each under our id."""
        with self._lock:
            return [
                identified for report in reports for identified in self._registry.assign_order_ids(report)
            ]

    def list_held(self, reports: Iterable[OrderReport]) -> list[OrderReport]:
        """Return the latest reports of the legs that Alpaca holds beside open orders of their group."""
        with self._lock:
            return self._registry.list_held([report.order_id for report in reports])

    def move_legs(self, primary_id: str, successor_id: str) -> None:
        """Assign the legs of a replaced order to its successor."""
        with self._lock:
            self._registry.move_legs(primary_id, successor_id)

    def assign_update_order_id(self, update: OrderUpdate) -> OrderUpdate | None:
        """Return an event under our id, None if it belongs to a leg whose id is not known yet.

        `pop_updates` returns it later.
        """
        with self._lock:
            if self._registry.is_unknown_leg(update.order):
                self._updates = [*self._updates[1 - MAX_WAITING_UPDATES :], update]
                return None
            return update._replace(order=self._registry.assign_order_ids(update.order)[0])

    def pop_updates(self) -> Sequence[OrderUpdate]:
        """Return the events whose legs have become known since, oldest first."""
        with self._lock:
            ready_updates = [
                update for update in self._updates if not self._registry.is_unknown_leg(update.order)
            ]
            self._updates = [update for update in self._updates if update not in ready_updates]
            return ready_updates
