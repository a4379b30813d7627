"""Compare the booked charges with the charges that the broker computes: a log line for each difference."""

import logging
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Protocol, runtime_checkable

from sqlalchemy import Engine

from app.brokers.errors import BrokerUnavailable
from app.brokers.protocol import Broker
from app.brokers.queries import StoredConnection
from app.clock import Now
from app.order_routing.queries import find_assigned_portfolio, load_booked_charges, open_transaction

TOLERANCE = Decimal("0.01")
_LOG = logging.getLogger(__name__)

CountDifference = Callable[[str], None]  # gets the name of the broker


@runtime_checkable
class HasCharges(Protocol):
    """An adapter whose broker computes the charges of orders."""

    def get_day_start(self, now: datetime) -> datetime:
        """Return the time before which the broker knows no order."""

    def list_charges(self, order_ids: Collection[str]) -> Mapping[str, Decimal]:
        """Return the charges of the given orders that ended today. Raises BrokerUnavailable."""


class ChargeComparison:
    """Compares each order of the day once. The broker's figure is information: nothing is booked."""

    def __init__(self, engine: Engine, now: Now, count: CountDifference) -> None:
        self._engine, self._now, self._count = engine, now, count
        self._compared: dict[str, datetime] = {}  # by order id, the start of its day

    def run(self, stored: StoredConnection, broker: Broker) -> None:
        """Compare the orders that ended since the last run."""
        adapter: object = broker
        if not isinstance(adapter, HasCharges):
            return
        day = adapter.get_day_start(self._now())
        self._compared = {order_id: start for order_id, start in self._compared.items() if start >= day}
        own_charges = self._load_booked_charges(stored, day)
        order_ids = own_charges.keys() - self._compared.keys()
        if not order_ids:
            return
        try:
            broker_charges = adapter.list_charges(order_ids)
        except BrokerUnavailable as error:
            _LOG.warning("the charges of %s were not compared: %s", stored.name, error)
            return
        for order_id, charges in sorted(broker_charges.items()):
            self._compared[order_id] = day
            self._compare(stored, order_id, own_charges[order_id], charges)

    def _load_booked_charges(self, stored: StoredConnection, since: datetime) -> dict[str, Decimal]:
        with open_transaction(self._engine, stored.tenant_id) as connection:
            portfolio = find_assigned_portfolio(connection, stored.tenant_id, stored.name)
            if portfolio is None:
                return {}
            return load_booked_charges(connection, stored.tenant_id, portfolio.id, since)

    def _compare(
        self, stored: StoredConnection, order_id: str, own_amount: Decimal, broker_amount: Decimal
    ) -> None:
        if abs(own_amount - broker_amount) < TOLERANCE:
            return
        self._count(stored.broker)
        _LOG.info(
            "charges of order %s differ: ours %.2f, %s's %.2f",
            order_id,
            own_amount,
            stored.broker,
            broker_amount,
        )
