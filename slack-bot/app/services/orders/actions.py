"""Carry out the buttons of an order's message."""

import logging
import time

from app.blocks.messages import Message, build_notice
from app.blocks.text import build_section
from app.errors import BotError, OmsError, OutcomeUnknown, SlackError, format_log_name
from app.forms.portfolio_values import PositionKey
from app.services import failure_messages
from app.services.clicked_message import ClickedMessage
from app.services.dependencies import Services
from app.services.orders.closes import close_at_market
from app.services.orders.messages import refresh_order
from app.services.request_origin import RequestOrigin

log = logging.getLogger(__name__)

CANCELING = "Canceling…"
CLOSING = "Closing the position…"
NO_ACCESS = "You have no access to this order."
REPEATED_CLOSE = "This position is being closed already."
CLOSE_REPEAT_SECONDS = 10  # a second click on Close within this time has no effect


def cancel_order(services: Services, origin: RequestOrigin, order_id: str, clicked: ClickedMessage) -> None:
    """Cancel an order for the person who clicked. The message shows the result."""
    strip_buttons(services, origin, clicked, CANCELING)
    key = f"{origin.person.team}:{origin.trigger_id}:cancel"
    try:
        services.orders.cancel(origin.person, order_id, key=key, request_id=origin.request_id)
    except OmsError as error:
        report_failure(services, origin, error)
    refresh_order(services, order_id, origin.request_id)


def close_order_position(
    services: Services, origin: RequestOrigin, order_id: str, clicked: ClickedMessage
) -> None:
    """Close the position of an order's symbol at market. The closing order gets a separate message.

    If the OMS refuses, the same person or another may click again at once.
    """
    mark = _claim_close(services, order_id)
    if not mark:
        services.message_sender.respond(
            origin.get_recipient(), origin.response_url, build_notice(REPEATED_CLOSE)
        )
        return
    strip_buttons(services, origin, clicked, CLOSING)
    try:
        order = services.orders.find_by_id(origin.person, order_id, request_id=origin.request_id)
        if order is None:
            services.recent_deliveries.remove(mark)
            services.message_sender.respond(
                origin.get_recipient(), origin.response_url, build_notice(NO_ACCESS)
            )
        else:
            key = f"{origin.person.team}:{origin.trigger_id}:close"
            position = PositionKey(order.portfolio, order.symbol)
            close_at_market(services, origin, position, origin.channel, key=key)
    except OmsError as error:
        if not isinstance(error, OutcomeUnknown):
            services.recent_deliveries.remove(mark)
        report_failure(services, origin, error)
    refresh_order(services, order_id, origin.request_id)


def strip_buttons(services: Services, origin: RequestOrigin, clicked: ClickedMessage, sentence: str) -> None:
    """Replace the buttons of a message by a sentence, so that nobody clicks a second time."""
    blocks = [block for block in clicked.blocks if block.get("type") != "actions"]
    message = Message(clicked.text, (*blocks, build_section(sentence)))
    try:
        services.slack.update_message(clicked.channel, clicked.ts, message)
    except SlackError as error:
        log.info("Buttons not replaced", extra={"request_id": origin.request_id, "fault": str(error)})


def report_failure(services: Services, origin: RequestOrigin, error: BotError) -> None:
    """Notify the person who clicked why nothing was done."""
    extra = {"request_id": origin.request_id, "person": origin.person.actor}
    log.warning("Order action failed", extra=extra | {"fault": format_log_name(error)})
    sentence = (
        failure_messages.describe_failed_action(error, origin.request_id)
        if isinstance(error, OmsError)
        else failure_messages.describe_bot_error(origin.request_id, failure_messages.CLICK_AGAIN)
    )
    services.message_sender.respond(origin.get_recipient(), origin.response_url, build_notice(sentence))


def _claim_close(services: Services, order_id: str) -> str:
    """Return the mark of this click. Empty if the position was closed from this message seconds ago."""
    slot = int(time.time() / CLOSE_REPEAT_SECONDS)
    if f"close:{order_id}:{slot - 1}" in services.recent_deliveries:
        return ""
    mark = f"close:{order_id}:{slot}"
    return mark if services.recent_deliveries.add(mark) else ""
