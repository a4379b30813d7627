"""Post order messages that are missing after a restart or a lost response."""

import logging
import time

from app.blocks.orders.messages import build_order_message, format_denial_reason
from app.delivery.pending_orders import PendingOrder, PendingState
from app.errors import OmsError
from app.forms.orders.order import Order
from app.oms_client import Person
from app.services import failure_messages
from app.services.dependencies import Services
from app.services.kill_switches.banner_recovery import recover_banners
from app.services.orders.approval_requests import recover_approval_request
from app.services.orders.approvals import APPROVAL_PREFIX, publish_approval, publish_with_approval
from app.services.orders.closes import CLOSE_PREFIX, find_close
from app.services.orders.messages import (
    is_published,
    refresh_open_orders,
    refresh_order,
    save_order_message,
)
from app.services.pending_notices import send_notice
from app.services.request_origin import RequestOrigin
from app.services.trades.confirmation_recovery import MAX_AGE_SECONDS, NOT_RECORDED_AFTER_SECONDS

log = logging.getLogger(__name__)


def run_order_refresh(services: Services) -> None:
    """Recover messages and banners, and update the messages of open orders, until the bot stops."""
    while not services.stopping.wait(services.waits.order_refresh_every):
        try:
            recover_orders(services, time.time())
            recover_banners(services, time.time())
            refresh_open_orders(services)
        except Exception:  # one failure must not end the thread
            log.exception("Orders not refreshed")


def recover_orders(services: Services, now: float) -> None:
    """Find every unresolved order in the OMS, and post its message or its approval request.

    A person whose order was not placed or was denied gets a notice instead.
    """
    for pending in services.pending_orders.list_unresolved(services.team):
        try:
            _recover_order(services, pending, now)
        except OmsError as error:
            extra = {"request_id": pending.request_id, "fault": str(error)}
            log.info("Order message not recovered", extra=extra)


def _recover_order(services: Services, pending: PendingOrder, now: float) -> None:
    if pending.key.startswith(APPROVAL_PREFIX):
        recover_approval_request(services, pending, now)
        return
    person = Person(pending.team, pending.user)
    order = _find_order(services, pending, person)
    age_seconds = now - pending.submitted_at
    if order is None and age_seconds < NOT_RECORDED_AFTER_SECONDS:
        return
    if not services.pending_orders.claim(pending):
        return
    origin = RequestOrigin(pending.request_id, person, "", pending.channel)
    log.info("Order message recovered", extra={"request_id": pending.request_id, "placed": order is not None})
    if order is None or order.status == "DENIED":
        sentence = _describe_unplaced_order(pending, order)
        send_notice(services, origin.get_recipient(), sentence, f"{pending.key}:{pending.request_id}")
        services.pending_orders.remove(pending.key)
    elif is_published(services, order.id) or age_seconds > MAX_AGE_SECONDS:
        services.pending_orders.remove(pending.key)
    elif order.replaces and is_published(services, order.replaces):  # the message follows the change
        publish_approval(services, origin, order, pending.channel)
        refresh_order(services, order.replaces, pending.request_id)
        services.pending_orders.remove(pending.key)
    else:
        _post_recovered_order(services, origin, order, pending)


def _describe_unplaced_order(pending: PendingOrder, order: Order | None) -> str:
    if order is not None and order.denial is not None:
        reason = format_denial_reason(order.denial)
        return failure_messages.describe_denied_order(pending.order_text, reason, pending.request_id)
    return failure_messages.describe_unrecorded_trade(
        pending.order_text, pending.request_id, failure_messages.ORDER_AGAIN
    )


def _find_order(services: Services, pending: PendingOrder, person: Person) -> Order | None:
    if pending.key.startswith(CLOSE_PREFIX):
        return find_close(services, pending)
    return services.orders.find(person, pending.key, request_id=pending.request_id)


def _post_recovered_order(
    services: Services, origin: RequestOrigin, order: Order, pending: PendingOrder
) -> None:
    """Post the message of an order. If Slack has the message already, only store its channel and time."""
    is_repeat = pending.state is PendingState.INTERRUPTED
    message = build_order_message(order)
    ts = services.slack.find_posted(pending.channel, message, pending.submitted_at) if is_repeat else ""
    if ts:
        save_order_message(services, origin, order, pending.channel, ts)
        services.pending_orders.remove(pending.key)
        publish_approval(services, origin, order, pending.channel)
    else:
        hint = failure_messages.MAYBE_REPEATED if is_repeat else ""
        publish_with_approval(services, origin, order, pending.channel, key=pending.key, hint=hint)
