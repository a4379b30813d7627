"""Close positions at market. The closing order gets a message like every other order."""

import time
from datetime import UTC, datetime
from decimal import Decimal

from app.delivery.pending_orders import PendingOrder, PendingState
from app.errors import OmsError, OutcomeUnknown
from app.forms.orders.order import Order
from app.forms.portfolio_values import PositionKey
from app.oms_client import Person
from app.services.dependencies import Services
from app.services.orders.approvals import publish_with_approval
from app.services.orders.messages import is_published
from app.services.request_origin import RequestOrigin

CLOSE_PREFIX = "close:"
CLOSE_REASON = "Closed in Slack"
CLOCK_SECONDS = 2.0  # by which the clocks of the bot and the OMS may differ


def close_at_market(
    services: Services,
    origin: RequestOrigin,
    position: PositionKey,
    channel: str,
    *,
    key: str,
    quantity: Decimal | None = None,
    reason: str = "",
) -> Order:
    """Close a position once per `key`, and post the message of the closing order. Raises `OmsError`."""
    pending = PendingOrder(
        key=f"{CLOSE_PREFIX}{key}|{position.dump()}",
        submitted_at=time.time(),
        team=origin.person.team,
        user=origin.person.user,
        channel=channel,
        request_id=origin.request_id,
        order_text=f"closing {position.symbol} in {position.portfolio_name}",
    )
    services.pending_orders.add(pending)
    try:
        order = services.orders.close(
            origin.person,
            position,
            quantity,
            reason or CLOSE_REASON,
            key=key,
            request_id=origin.request_id,
        )
    except OutcomeUnknown:
        services.pending_orders.set_state(pending.key, PendingState.UNKNOWN)
        raise
    except OmsError:
        services.pending_orders.remove(pending.key)
        raise
    if is_published(services, order.id):  # a repeat of the same request
        services.pending_orders.remove(pending.key)
    else:
        publish_with_approval(services, origin, order, channel, key=pending.key)
    return order


def find_close(services: Services, pending: PendingOrder) -> Order | None:
    """Return the closing order of a stored close: the person's oldest one since then without a message."""
    position = PositionKey.load(pending.key.partition("|")[2])
    person = Person(pending.team, pending.user)
    since = datetime.fromtimestamp(pending.submitted_at - CLOCK_SECONDS, UTC)
    closes = services.orders.list_own_since(
        person, position.portfolio_name, position.symbol, since, request_id=pending.request_id
    )
    orders = [
        order for order in reversed(closes) if order.type == "MARKET" and not is_published(services, order.id)
    ]
    return next((order for order in orders if order.actor == person.actor and not order.parent_id), None)
