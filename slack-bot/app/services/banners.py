"""Post a banner in the channel when trading is stopped, and edit it when trading is resumed."""

import logging
from collections.abc import Callable

from app.blocks.messages import Message, with_hint
from app.delivery.message_sender import INVITE_HINT
from app.delivery.outbox import Job
from app.errors import Saturated, SlackError, SlackRateLimited
from app.services.banner_registry import Banner
from app.services.dependencies import Services
from app.services.origin import Origin

log = logging.getLogger(__name__)

NO_CHANNEL = (
    "No channel got this message, because the form was not opened in one. "
    "Type `/desk risk share` in the channel of the desk."
)
CHANNEL_IDS = ("C", "G")  # the first letters of ids of channels that are no direct messages


def show_banner(
    services: Services, origin: Origin | None, channel: str, portfolio: str, message: Message
) -> None:
    """Post the banner in a channel, or edit the banner that is there. Direct messages get none.

    `origin` is None for a change that was not made in Slack.
    """
    banner, channel = services.banners.get(portfolio), _choose_channel(services, channel)
    if banner is not None:
        _queue(services, origin, banner.channel, message, lambda: _edit(services, banner, message))
    elif channel:
        _queue(services, origin, channel, message, lambda: _create(services, channel, portfolio, message))
    else:
        _send_privately(services, origin, with_hint(message, NO_CHANNEL))


def replace_banner(
    services: Services, origin: Origin | None, channel: str, portfolio: str, message: Message
) -> None:
    """Edit the banner and add the message to its thread. Without a banner, post in the channel."""
    banner, channel = services.banners.remove(portfolio), _choose_channel(services, channel)
    if banner is not None:
        _queue(services, origin, banner.channel, message, lambda: _close(services, banner, message))
    elif channel:
        _queue(services, origin, channel, message, lambda: _post(services, channel, message))


def _choose_channel(services: Services, channel: str) -> str:
    """Return the channel of the request, else that of the settings, for requests of direct messages."""
    return channel if channel.startswith(CHANNEL_IDS) else services.trading_channel


def _post(services: Services, channel: str, message: Message) -> None:
    services.slack.post(channel, message)


def _create(services: Services, channel: str, portfolio: str, message: Message) -> None:
    timestamp = services.slack.post(channel, message)
    services.banners.add(portfolio, Banner(channel, timestamp))


def _edit(services: Services, banner: Banner, message: Message) -> None:
    services.slack.update_message(banner.channel, banner.timestamp, message)


def _close(services: Services, banner: Banner, message: Message) -> None:
    _edit(services, banner, message)
    services.slack.post(banner.channel, message, thread_ts=banner.timestamp)


def _queue(
    services: Services, origin: Origin | None, channel: str, message: Message, work: Callable[[], None]
) -> None:
    """Queue a call. If Slack refuses it, the person gets the message with a hint."""

    def send() -> None:
        try:
            work()
        except SlackRateLimited:
            raise
        except SlackError as error:
            extra = {"request_id": origin.request_id if origin else "", "fault": str(error)}
            log.warning("Banner not posted", extra=extra)
            _send_privately(services, origin, with_hint(message, INVITE_HINT.format(channel=channel)))

    def log_abandoned() -> None:
        log.warning("Banner given up", extra={"request_id": origin.request_id if origin else ""})

    try:
        services.outbox.put(f"channel:{channel}", Job(send, log_abandoned))
    except Saturated:
        log_abandoned()


def _send_privately(services: Services, origin: Origin | None, message: Message) -> None:
    if origin is not None:
        services.message_sender.send_privately(origin.address(), message)
