"""Post a banner in the channel when trading is stopped, and edit it when trading is resumed."""

import logging
from collections.abc import Callable

from app.blocks.messages import Message, with_hint
from app.delivery.banner_store import Banner
from app.delivery.message_sender import INVITE_HINT
from app.delivery.outbox import Job
from app.errors import Saturated, SlackError, SlackRateLimited
from app.services.dependencies import Services
from app.services.origin import Origin
from app.services.slack_settings import find_report_channel

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
    channel = _choose_channel(services, channel, portfolio)
    if channel:
        _queue(services, origin, channel, message, lambda: _show(services, channel, portfolio, message))
    else:
        _send_privately(services, origin, with_hint(message, NO_CHANNEL))


def replace_banner(
    services: Services, origin: Origin | None, channel: str, portfolio: str, message: Message
) -> None:
    """Edit the banner and add the message to its thread. Without a banner, post in the channel."""
    channel = _choose_channel(services, channel, portfolio)
    if channel:
        _queue(services, origin, channel, message, lambda: _replace(services, channel, portfolio, message))


def _choose_channel(services: Services, channel: str, portfolio: str) -> str:
    """Return the channel of the banner, else that of the request.

    For requests of direct messages, return the channel for reports.
    """
    banner = services.banners.get(portfolio)
    if banner is not None:
        return banner.channel
    return channel if channel.startswith(CHANNEL_IDS) else find_report_channel(services, portfolio)


# The calls of one channel run one after the other, so that each sees the banner that an earlier one posted.


def _show(services: Services, channel: str, portfolio: str, message: Message) -> None:
    banner = services.banners.get(portfolio)
    if banner is None:
        services.banners.add(portfolio, Banner(channel, services.slack.post(channel, message)))
    else:
        services.slack.update_message(banner.channel, banner.timestamp, message)


def _replace(services: Services, channel: str, portfolio: str, message: Message) -> None:
    banner = services.banners.get(portfolio)
    if banner is None:
        services.slack.post(channel, message)
        return
    services.slack.update_message(banner.channel, banner.timestamp, message)
    services.banners.remove(portfolio)  # after the edit, which is repeated if Slack limits the rate
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
