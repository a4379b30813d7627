"""Queue the calls to Slack about orders, and post their messages."""

import logging
from collections.abc import Callable

from app.blocks.messages import Message, add_hint
from app.delivery.message_sender import INVITE_HINT, MAYBE_HINT
from app.delivery.send_queue import SendJob
from app.errors import QueueFull, SlackError, SlackRateLimited, SlackUnreachable
from app.services.dependencies import Services
from app.services.request_origin import RequestOrigin

log = logging.getLogger(__name__)


def post_message(
    services: Services, origin: RequestOrigin, channel: str, message: Message
) -> tuple[str, str]:
    """Post in the channel, else as a direct message. Return the channel and the timestamp."""
    hint = ""
    if channel:
        try:
            return channel, services.slack.post(channel, message)
        except SlackRateLimited:
            raise
        except SlackError as error:
            extra = {"request_id": origin.request_id, "route": "channel", "fault": str(error)}
            log.warning("Message not delivered", extra=extra)
            is_unknown = isinstance(error, SlackUnreachable)
            hint = (MAYBE_HINT if is_unknown else INVITE_HINT).format(channel=channel)
    direct = services.slack.open_direct_channel(origin.user)
    return direct, services.slack.post(direct, add_hint(message, hint) if hint else message)


def queue_in_channel(services: Services, channel: str, work: Callable[[], None], request_id: str) -> None:
    """Queue calls to Slack for one channel, one after the other."""
    queue_work(services, f"channel:{channel}", work, request_id)


def queue_work(
    services: Services, lane: str, work: Callable[[], None], request_id: str, *, is_paced: bool = True
) -> bool:
    """Queue work. Return False if the queue is full."""

    def log_abandoned() -> None:
        log.warning("Order message not delivered", extra={"request_id": request_id})

    try:
        services.send_queue.put(lane, SendJob(work, log_abandoned), is_paced=is_paced)
    except QueueFull as error:
        log.warning("Order message not queued", extra={"request_id": request_id, "fault": str(error)})
        return False
    return True
