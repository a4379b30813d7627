"""Build orders from tickets."""

from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

from app.orders.rules.values import (
    GroupKind,
    Order,
    OrderType,
    Role,
    Status,
    Ticket,
    TimeInForce,
    replace_fields,
)
from app.timestamps import Timestamp, format_timestamp

PAPER = "paper"
_DAY = timedelta(days=1)
_DATE_LENGTH = len("2026-01-31")


class Placement(NamedTuple):
    """The portfolio of an order, its cost schedule, and who placed it. `at` is canonical text."""

    tenant_id: int
    portfolio_id: int
    source: str
    user_id: str | None
    at: Timestamp
    actor: str | None = None
    cost_schedule: str = "none"
    broker: str = PAPER


class OrderLinks(NamedTuple):
    """The links of an order to its parent and its group."""

    parent_id: str | None = None
    group_id: str | None = None
    kind: GroupKind | None = None
    role: Role | None = None


NO_LINKS = OrderLinks()


def build_order_from_ticket(
    order_id: str, placement: Placement, ticket: Ticket, quantity: Decimal, links: OrderLinks = NO_LINKS
) -> Order:
    """Return the order of a ticket with the status INITIALIZED."""
    return Order(
        tenant_id=placement.tenant_id,
        id=order_id,
        portfolio_id=placement.portfolio_id,
        client_order_id=ticket.client_order_id or order_id,
        symbol=ticket.symbol,
        product=ticket.product,
        side=ticket.side,
        type=ticket.type,
        time_in_force=ticket.time_in_force,
        quantity=quantity,
        notional=ticket.notional,
        limit_price=ticket.limit_price,
        stop_price=ticket.stop_price,
        trail_amount=ticket.trail_amount,
        trail_percent=ticket.trail_percent,
        expires_at=ticket.expires_at,
        ends_at=get_expiry(ticket.time_in_force, ticket.expires_at, placement.at),
        extended_hours=ticket.extended_hours,
        reason=ticket.reason,
        strategy=ticket.strategy,
        user_id=ticket.user_id or placement.user_id,
        source=placement.source,
        actor=placement.actor,
        cost_schedule=placement.cost_schedule,
        broker=placement.broker,
        status=Status.INITIALIZED,
        created_at=placement.at,
        updated_at=placement.at,
        parent_id=links.parent_id,
        group_id=links.group_id,
        group_kind=links.kind,
        role=links.role,
    )


def copy_order(order: Order, order_id: str, at: Timestamp, **fields: Any) -> Order:
    """Return a new order with the terms of another one. `fields` are the fields that differ."""
    new_values: dict[str, Any] = {
        "id": order_id,
        "client_order_id": order_id,
        "status": Status.INITIALIZED,
        "idempotency_key": None,
        "event_count": 0,
        "created_at": at,
        "updated_at": at,
        "accepted_at": None,
        "denial": None,
    }
    return replace_fields(order, **new_values | fields)


class ExitTicket(NamedTuple):
    """The ticket of an exit, and the role of the exit."""

    role: Role
    ticket: Ticket


def build_exit_tickets(entry: Order, ticket: Ticket) -> list[ExitTicket]:
    """Return the tickets of the exits that an entry's ticket requests."""
    if ticket.take_profit is None and ticket.stop_loss is None:
        return []
    base = Ticket(
        symbol=entry.symbol,
        side="SELL" if entry.side == "BUY" else "BUY",
        type=OrderType.LIMIT,
        quantity=entry.quantity,
        time_in_force=TimeInForce.GTC,
        product=entry.product,
        extended_hours=entry.extended_hours,
        strategy=entry.strategy,
        user_id=entry.user_id,
    )
    exit_tickets = []
    if ticket.take_profit is not None:
        exit_ticket = base._replace(limit_price=ticket.take_profit.limit_price)
        exit_tickets.append(ExitTicket(Role.TAKE_PROFIT, exit_ticket))
    if ticket.stop_loss is not None:
        stop, limit = ticket.stop_loss
        kind = OrderType.STOP if limit is None else OrderType.STOP_LIMIT
        exit_ticket = base._replace(type=kind, stop_price=stop, limit_price=limit)
        exit_tickets.append(ExitTicket(Role.STOP_LOSS, exit_ticket))
    return exit_tickets


def get_expiry(time_in_force: TimeInForce, expires_at: Timestamp | None, at: Timestamp) -> Timestamp | None:
    """Return the time at which an order that was placed at `at` expires, None if it does not expire.

    A day ends at 24:00 UTC. Where trading sessions are enforced, `trading_sessions` replaces this end.
    """
    if time_in_force is TimeInForce.GTD:
        return expires_at
    if time_in_force in {TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK}:
        return None
    return _get_end_of_day(at[:_DATE_LENGTH])


@lru_cache(maxsize=16)
def _get_end_of_day(day: str) -> Timestamp:
    return format_timestamp(datetime.fromisoformat(day) + _DAY)
