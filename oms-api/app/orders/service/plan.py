"""What a batch of commands will touch: found out before the locks are taken, in a few statements."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from app.orders.errors import NoSuchOrder
from app.orders.queries import book as queries
from app.orders.queries.book import Place
from app.orders.rules.values import Order, Ticket
from app.orders.service.commands import (
    BrokerReport,
    CancelAll,
    CancelOrder,
    ClosePosition,
    Command,
    ExpireOrders,
    OrderCommand,
    PlaceGroup,
    PlaceOrder,
    PreviewOrder,
    QuoteArrived,
    ReplaceOrder,
)

Key = tuple[int, str]
_NAMING = (PlaceOrder, PlaceGroup, PreviewOrder, ClosePosition, CancelAll)  # commands that name a portfolio


@dataclass(slots=True)
class Plan:
    """Portfolios to find by name and to lock, the names that requests may have bound before, and the orders
    that stand under these.
    """

    names: set[Key] = field(default_factory=set)
    places: set[Place] = field(default_factory=set)
    client_order_ids: set[Key] = field(default_factory=set)
    request_keys: set[Key] = field(default_factory=set)
    bound: list[Order] = field(default_factory=list)
    by_order: dict[Key, Place] = field(default_factory=dict)
    by_symbol: dict[Key, list[Place]] = field(default_factory=dict)
    overdue: dict[int, list[Place]] = field(default_factory=dict)

    def portfolios(self, work: CancelAll) -> list[Place]:
        """Return the portfolios of the tenant that the batch locks."""
        return sorted(place for place in self.places if place[0] == work.origin.tenant_id)

    def require(self, work: CancelOrder | ReplaceOrder | BrokerReport) -> None:
        """Raise NoSuchOrder where the order was not found."""
        tenant_id = work.tenant_id if isinstance(work, BrokerReport) else work.origin.tenant_id
        if (tenant_id, work.order_id) not in self.by_order:
            raise NoSuchOrder(work.order_id)


def plan_for(connection: Connection, works: Sequence[OrderCommand]) -> Plan:
    """Return what the commands touch."""
    plan = Plan()
    _note_names(plan, works)
    _find_bound(connection, plan)
    _find_orders(connection, plan, works)
    _find_portfolios(connection, plan, works)
    _find_symbols(connection, plan, works)
    for work in works:
        if isinstance(work, ExpireOrders):
            found = queries.overdue_places(connection, work.tenant_id, work.at)
            plan.overdue[work.tenant_id] = sorted(found)
            plan.places |= found
    return plan


def _note_names(plan: Plan, works: Sequence[OrderCommand]) -> None:
    for work in works:
        if isinstance(work, (QuoteArrived, ExpireOrders, BrokerReport)):
            continue
        origin = work.origin
        if origin.idempotency_key:
            plan.request_keys.add((origin.tenant_id, origin.idempotency_key))
        if isinstance(work, _NAMING) and work.portfolio_key is not None:
            plan.names.add((origin.tenant_id, work.portfolio_key))
        tickets = _tickets(work)
        names = [ticket.client_order_id for ticket in tickets]
        if isinstance(work, ReplaceOrder):
            names.append(work.changes.client_order_id)
        plan.client_order_ids |= {(origin.tenant_id, name) for name in names if name}


def symbols_of(works: Sequence[Command]) -> set[Key]:
    """Return the symbols (tenant id, symbol) of the tickets, to be priced."""
    return {
        (work.origin.tenant_id, ticket.symbol)
        for work in works
        if isinstance(work, (PlaceOrder, PlaceGroup, PreviewOrder))
        for ticket in _tickets(work)
    }


def _tickets(work: OrderCommand) -> Sequence[Ticket]:
    if isinstance(work, PlaceGroup):
        return work.tickets
    return (work.ticket,) if isinstance(work, (PlaceOrder, PreviewOrder)) else ()


def _find_bound(connection: Connection, plan: Plan) -> None:
    """Find the orders that stand under the requests' names; their portfolios are locked too, for what they
    are now is told again.
    """
    for column, names in (
        ("client_order_id", plan.client_order_ids),
        ("idempotency_key", plan.request_keys),
    ):
        plan.bound += queries.orders_bound(connection, column, sorted(names))
    plan.places |= {(order.tenant_id, order.portfolio_id) for order in plan.bound}


def _find_orders(connection: Connection, plan: Plan, works: Sequence[OrderCommand]) -> None:
    wanted = {
        (work.tenant_id if isinstance(work, BrokerReport) else work.origin.tenant_id, work.order_id)
        for work in works
        if isinstance(work, (CancelOrder, ReplaceOrder, BrokerReport))
    }
    plan.by_order = queries.places_of(connection, sorted(wanted))
    plan.places |= set(plan.by_order.values())


def _find_portfolios(connection: Connection, plan: Plan, works: Sequence[OrderCommand]) -> None:
    for work in works:
        if isinstance(work, CancelAll) and work.portfolio_key is None:
            plan.places |= queries.places_with_any(connection, work.origin.tenant_id)


def _find_symbols(connection: Connection, plan: Plan, works: Sequence[OrderCommand]) -> None:
    arrived = {(work.tenant_id, work.quote.symbol) for work in works if isinstance(work, QuoteArrived)}
    plan.by_symbol = queries.places_with_orders(connection, sorted(arrived))
    plan.places |= {place for places in plan.by_symbol.values() for place in places}
