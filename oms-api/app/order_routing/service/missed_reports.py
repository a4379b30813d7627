"""Read working orders again at their broker, and apply the events that were not reported."""

from datetime import datetime

from sqlalchemy import Engine

from app.brokers.protocol import Broker
from app.brokers.rules.values import Accepted, BrokerEvent, Expired
from app.clock import Now
from app.order_routing.queries import find_assigned_portfolio, open_snapshot
from app.order_routing.service.adapter_state import HasDailyOrders
from app.order_routing.service.report_writer import ReportWriter
from app.orders.queries.broker_requests import list_incomplete_requests, list_orders_at_broker
from app.orders.rules.broker_requests import list_proven_events
from app.orders.rules.contingency import EXIT_ROLES
from app.orders.rules.values import Order

MAX_EVENTS_PER_BATCH = 200


class MissedReports:
    """Reads our working orders at a broker, and applies the events that were missed."""

    def __init__(
        self, engine: Engine, tenant_id: int, name: str, broker: Broker, reports: ReportWriter, now: Now
    ) -> None:
        self._engine, self._tenant_id, self._name = engine, tenant_id, name
        self._broker, self._reports, self._now = broker, reports, now

    def apply(self, *, ended_only: bool = False) -> None:
        """Apply the missed fills and ends that the broker's state of our working orders proves."""
        with open_snapshot(self._engine, self._tenant_id) as connection:
            portfolio = find_assigned_portfolio(connection, self._tenant_id, self._name)
            if portfolio is None:
                return
            orders = list_orders_at_broker(connection, self._tenant_id, portfolio.id)
            undone_requests = list_incomplete_requests(connection, self._tenant_id, self._name)
        requested = {request.order_id for request in undone_requests}  # the sender finds their outcome
        events: list[BrokerEvent] = []
        for order in sorted(orders, key=_is_exit):  # entries first: their exits close the filled quantity
            if order.id not in requested:
                events += self._list_events(order, ended_only=ended_only)
            if len(events) >= MAX_EVENTS_PER_BATCH:
                self._reports.apply(events)
                events = []
        self._reports.apply(events)

    def _list_events(self, order: Order, *, ended_only: bool) -> list[BrokerEvent]:
        """Return the events that the broker's state of an order proves, without a booked acceptance."""
        state = self._broker.find(order.id)
        if state is None:
            return [Expired(order.id, self._now())] if self._is_forgotten(order) else []
        if ended_only and state.is_open:
            return []
        events = list_proven_events(state, self._broker.list_executions(order.id), self._now())
        is_accepted = order.accepted_at is not None
        return [event for event in events if not (is_accepted and isinstance(event, Accepted))]

    def _is_forgotten(self, order: Order) -> bool:
        """Return whether the order worked on an earlier day, and the broker only knows orders of today."""
        broker: object = self._broker
        if order.accepted_at is None or not isinstance(broker, HasDailyOrders):
            return False
        return datetime.fromisoformat(order.accepted_at) < broker.get_day_start(self._now())


def _is_exit(order: Order) -> bool:
    return order.role in EXIT_ROLES
