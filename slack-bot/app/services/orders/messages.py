"""Post the message of an order once. Later changes edit it, and add a line to its thread."""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from app.blocks.messages import Message, add_hint
from app.blocks.orders.approvals import build_decided_message
from app.blocks.orders.messages import (
    build_order_message,
    build_thread_message,
    format_changes,
    format_leg_change,
    format_leg_state,
)
from app.delivery.posted_messages import MessageKind, PostedMessage, PostedMessageClaim
from app.errors import OmsError, SlackError, SlackRateLimited, SlackRefused, SlackUnreachable
from app.forms.orders.order import AWAITING_APPROVAL, Order
from app.oms_client import Person
from app.services import failure_messages
from app.services.dependencies import Services
from app.services.orders.message_queue import post_message, queue_in_channel, queue_work
from app.services.orders.pending_messages import post_pending_message
from app.services.request_origin import RequestOrigin

log = logging.getLogger(__name__)

MAX_CHECKED = 20  # orders that one round of the refresh looks up
MAX_SUCCESSORS = 20  # changes of one order that are followed at once


def is_published(services: Services, order_id: str) -> bool:
    """Return whether the order has a message."""
    return services.posted_messages.find(order_id, MessageKind.ORDER) is not None


def has_approval_message(services: Services, order_id: str) -> bool:
    """Return whether the request for approval of an order was posted."""
    return services.posted_messages.find(order_id, MessageKind.APPROVAL) is not None


def publish_order(
    services: Services, origin: RequestOrigin, order: Order, channel: str, *, key: str = "", hint: str = ""
) -> None:
    """Post the message of a new order in its channel, or to the person if there is none or Slack refuses.

    `key` is that of the pending order, which is removed then. `hint` is added to the message.
    """

    def post() -> None:
        current = _load_order(services, origin.person, order.id, origin.request_id) or order
        message = build_order_message(current)
        posted_in, ts = post_message(services, origin, channel, add_hint(message, hint) if hint else message)
        save_order_message(services, origin, current, posted_in, ts)

    def work() -> None:
        post_pending_message(services, key, is_posted=lambda: is_published(services, order.id), post=post)

    queue_in_channel(services, channel or origin.user, work, origin.request_id)


def save_order_message(
    services: Services, origin: RequestOrigin, order: Order, channel: str, ts: str
) -> None:
    """Store which message shows an order."""
    services.posted_messages.save(
        PostedMessage(
            subject_id=order.id,
            kind=MessageKind.ORDER,
            channel=channel,
            ts=ts,
            team=origin.person.team,
            user=origin.person.user,
            sequence=_get_last_sequence(order),
            legs=_list_leg_states(order),
            is_open=order.is_open,
        )
    )


class OrderChange(Protocol):
    """An event about an order. `payload` names the order, its parent, and the order it replaces."""

    @property
    def id(self) -> str:
        """The id of the event."""

    @property
    def payload(self) -> dict[str, Any]:
        """The order after the change."""


def update_order_message(services: Services, event: OrderChange) -> None:
    """Update the messages of the order of an event, or of the order whose exit or successor it is."""
    for name in ("order_id", "parent_id", "replaces"):
        order_id = str(event.payload.get(name) or "")
        if order_id and (is_published(services, order_id) or has_approval_message(services, order_id)):
            refresh_order(services, order_id, event.id, always=False)


def refresh_order(services: Services, order_id: str, request_id: str, *, always: bool = True) -> None:
    """Queue the update of an order's messages. Without `always`, only if the order has changed.

    The order is read at once. Only a call to Slack waits for its turn in the channel.
    """
    order_message = services.posted_messages.find(order_id, MessageKind.ORDER)
    if order_message is None:
        _refresh_request(services, order_id, request_id)
        return
    if always:
        _queue_update(services, order_message, request_id)
        return

    def check() -> None:
        if _has_changed(services, order_id, request_id):
            _queue_update(services, order_message, request_id)

    _queue_once(services, f"order:{order_id}", f"check:{order_id}", check, request_id, is_paced=False)


def _refresh_request(services: Services, order_id: str, request_id: str) -> None:
    """Queue the update of a request for approval whose order was not placed in Slack and has no message."""
    request = services.posted_messages.find(order_id, MessageKind.APPROVAL)
    if request is None or not request.is_open:
        return

    def update() -> None:
        order = _load_order(services, Person.find(request.team, request.user), order_id, request_id)
        if order is not None:
            _update_approval(services, order, request_id)

    _queue_once(services, f"channel:{request.channel}", f"request:{order_id}", update, request_id)


def _queue_update(services: Services, order_message: PostedMessage, request_id: str) -> None:
    def update() -> None:
        _update_messages(services, order_message.subject_id, request_id)

    _queue_once(
        services, f"channel:{order_message.channel}", f"update:{order_message.subject_id}", update, request_id
    )


def _queue_once(
    services: Services,
    lane: str,
    key: str,
    work: Callable[[], None],
    request_id: str,
    *,
    is_paced: bool = True,
) -> None:
    """Queue work in a lane, unless the same work is queued already and has not started."""
    if not services.queued_order_work.add(key):
        return

    def start() -> None:
        services.queued_order_work.remove(key)
        work()

    if not queue_work(services, lane, start, request_id, is_paced=is_paced):
        services.queued_order_work.remove(key)


def _has_changed(services: Services, order_id: str, request_id: str) -> bool:
    """Return whether the order has changed since its message was updated."""
    order_message = services.posted_messages.find(order_id, MessageKind.ORDER)
    order = order_message and _load_order(
        services, Person(order_message.team, order_message.user), order_id, request_id
    )
    return (
        isinstance(order, Order) and order_message is not None and bool(_list_changes(order, order_message))
    )


def refresh_open_orders(services: Services) -> None:
    """Update the messages of the open orders that were checked longest ago."""
    for order_message in services.posted_messages.list_open(MAX_CHECKED):
        services.posted_messages.record_check(order_message)
        if order_message.kind is MessageKind.ORDER or not is_published(services, order_message.subject_id):
            refresh_order(services, order_message.subject_id, "order-refresh", always=False)


def _update_messages(services: Services, order_id: str, request_id: str) -> None:
    """Edit the message of an order, unless another bot is editing it. The refresh shows later changes."""
    claim = services.posted_messages.claim(order_id)
    if claim is PostedMessageClaim.TAKEN:
        return
    try:
        _update_claimed(services, order_id, request_id, may_repeat=claim is PostedMessageClaim.INTERRUPTED)
    except SlackUnreachable as error:  # the refresh tries again
        log.warning("Order message not updated", extra={"request_id": request_id, "fault": str(error)})
    finally:
        services.posted_messages.release(order_id)


def _update_claimed(services: Services, order_id: str, request_id: str, *, may_repeat: bool) -> None:
    """Edit the message of an order, and post its changes since the last update in the thread."""
    order_message = services.posted_messages.find(order_id, MessageKind.ORDER)
    if order_message is None:
        return
    order = _load_order(services, Person(order_message.team, order_message.user), order_id, request_id)
    if order is None:
        return
    lines = _list_changes(order, order_message)
    current = _find_current_order(services, order_message, order, request_id)
    updated = replace(
        order_message,
        subject_id=current.id,
        sequence=_get_last_sequence(current),
        legs=_list_leg_states(current),
        is_open=current.is_open,
    )
    _edit_message(services, updated, build_order_message(current), request_id)
    if lines:
        message = build_thread_message(lines)
        message = add_hint(message, failure_messages.MAYBE_REPEATED) if may_repeat else message
        _post_in_thread(services, order_message, message, request_id)
    if current.id != order_id:
        services.posted_messages.save(
            replace(
                order_message,
                sequence=_get_last_sequence(order),
                legs=_list_leg_states(order),
                is_open=False,
            )
        )
    services.posted_messages.save(updated)
    for changed in {order.id: order, current.id: current}.values():
        _update_approval(services, changed, request_id)


def _list_changes(order: Order, order_message: PostedMessage) -> list[str]:
    legs = [
        format_leg_change(leg)
        for leg in order.legs
        if leg.id in order_message.legs and order_message.legs[leg.id] != format_leg_state(leg)
    ]
    return format_changes(order, order_message.sequence) + legs


def _find_current_order(
    services: Services, order_message: PostedMessage, order: Order, request_id: str
) -> Order:
    """Return the order that replaced this one, the order itself if none did."""
    person = Person(order_message.team, order_message.user)
    for _ in range(MAX_SUCCESSORS):
        successor = order.replaced_by and _load_order(services, person, order.replaced_by, request_id)
        if not successor:
            return order
        order = successor
    return order


def _edit_message(
    services: Services, order_message: PostedMessage, message: Message, request_id: str
) -> None:
    try:
        services.slack.update_message(order_message.channel, order_message.ts, message)
    except (SlackRateLimited, SlackUnreachable):  # an edit may be repeated
        raise
    except SlackError as error:  # the message may have been deleted; the thread still shows the change
        log.warning("Order message not edited", extra={"request_id": request_id, "fault": str(error)})


def _post_in_thread(
    services: Services, order_message: PostedMessage, message: Message, request_id: str
) -> None:
    """Post in the thread of a message. If Slack refuses it, as in an archived channel, it is given up."""
    try:
        services.slack.post(order_message.channel, message, order_message.ts)
    except SlackUnreachable:  # Slack may have it: the next attempt marks it
        services.posted_messages.interrupt(order_message.subject_id)
        raise
    except SlackRefused as error:
        log.warning("Order change not posted", extra={"request_id": request_id, "fault": str(error)})


def _update_approval(services: Services, order: Order, request_id: str) -> None:
    """Show the decision on the request for approval, once there is one."""
    request = services.posted_messages.find(order.id, MessageKind.APPROVAL)
    if request is None or not request.is_open or order.status == AWAITING_APPROVAL:
        return
    _edit_message(services, request, build_decided_message(order), request_id)
    services.posted_messages.save(replace(request, is_open=False))


def _load_order(services: Services, person: Person | None, order_id: str, request_id: str) -> Order | None:
    try:
        return services.orders.find_by_id(person, order_id, request_id=request_id)
    except OmsError as error:
        log.info("Order not looked up", extra={"request_id": request_id, "fault": str(error)})
        return None


def _get_last_sequence(order: Order) -> int:
    return max((event.sequence for event in order.events), default=0)


def _list_leg_states(order: Order) -> dict[str, str]:
    return {leg.id: format_leg_state(leg) for leg in order.legs}
