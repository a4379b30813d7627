"""Post a banner in the channel when trading is stopped, and edit it when trading is resumed."""

import logging
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from app.blocks.messages import Message, add_hint
from app.delivery.banner_store import Banner
from app.delivery.message_sender import INVITE_HINT, Recipient
from app.delivery.pending_banners import BannerState, PendingBanner
from app.delivery.send_queue import SendJob
from app.errors import OmsError, OutcomeUnknown, QueueFull, SlackError, SlackRateLimited, SlackRefused
from app.services import failure_messages
from app.services.dependencies import Services
from app.services.pending_notices import store_notice
from app.services.request_origin import RequestOrigin, is_channel
from app.services.settings.slack_settings import find_report_channel

log = logging.getLogger(__name__)

NO_CHANNEL = (
    "This was not posted to a channel, because the form was opened outside one. "
    "Type `/desk risk share` in the channel of the desk."
)


def show_banner(services: Services, portfolio: str, message: Message) -> None:
    """Post the banner of a stop that was not made in this workspace, or edit the banner that is there."""
    _store_and_queue(services, _build_banner(services, None, "", portfolio, message, is_end=False))


def replace_banner(services: Services, portfolio: str, message: Message) -> None:
    """Edit the banner and add the message to its thread. Without a banner, post in the channel."""
    _store_and_queue(services, _build_banner(services, None, "", portfolio, message, is_end=True))


@contextmanager
def announce_switch(
    services: Services, origin: RequestOrigin, channel: str, portfolio: str, message: Message, *, is_end: bool
) -> Iterator[None]:
    """Store the banner of a change that the block sends to the OMS, and post it after the block.

    If the response of the OMS is lost, as when the bot is killed, the recovery finds out whether the OMS has
    made the change.
    """
    pending = _build_banner(services, origin, channel, portfolio, message, is_end=is_end)
    if _has_recipient(pending):
        services.pending_banners.add(replace(pending, is_intended=True))
    try:
        yield
    except OutcomeUnknown:
        services.pending_banners.release(pending.key, BannerState.INTENDED)
        raise
    except OmsError:
        services.pending_banners.remove(pending.key)
        raise
    if _has_recipient(pending):
        services.pending_banners.set_state(pending.key, BannerState.QUEUED)
        queue_banner(services, pending)


def _has_recipient(pending: PendingBanner) -> bool:
    """Return whether the banner has a channel, or else a person to notify instead."""
    return bool(pending.channel or (pending.user and not pending.is_end))


def _build_banner(
    services: Services,
    origin: RequestOrigin | None,
    channel: str,
    portfolio: str,
    message: Message,
    *,
    is_end: bool,
) -> PendingBanner:
    return PendingBanner(
        key=secrets.token_hex(8),
        portfolio=portfolio,
        is_end=is_end,
        channel=_choose_channel(services, channel, portfolio),
        user=origin.user if origin else "",
        request_id=origin.request_id if origin else "",
        message=message,
        created_at=time.time(),
    )


def _choose_channel(services: Services, channel: str, portfolio: str) -> str:
    """Return the channel of the banner, else that of the request.

    For requests of direct messages, return the channel for reports.
    """
    banner = services.banners.find(portfolio)
    if banner is not None:
        return banner.channel
    return channel if is_channel(channel) else find_report_channel(services, portfolio)


def _store_and_queue(services: Services, pending: PendingBanner) -> None:
    if _has_recipient(pending):
        services.pending_banners.add(pending)
        queue_banner(services, pending)


# The calls of one channel run one after the other, so that each sees the banner that an earlier one posted.


def queue_banner(services: Services, pending: PendingBanner) -> None:
    """Queue a stored banner. If Slack refuses it, the person gets it with a hint."""

    def release() -> None:
        services.pending_banners.release(pending.key)
        log.warning("Banner delayed", extra={"request_id": pending.request_id})

    try:
        lane = f"channel:{pending.channel or pending.user}"
        services.send_queue.put(lane, SendJob(lambda: _post_banner(services, pending), release))
    except QueueFull:
        release()


def _post_banner(services: Services, pending: PendingBanner) -> None:
    if not services.pending_banners.set_state(pending.key, BannerState.POSTING):
        return  # another bot posts it
    message = (
        add_hint(pending.message, failure_messages.MAYBE_REPEATED) if pending.is_repeat else pending.message
    )
    try:
        if pending.channel:
            (_show_end if pending.is_end else _show_stop)(services, pending, message)
        else:
            _send_privately(services, pending, add_hint(message, NO_CHANNEL))
    except SlackRateLimited:
        services.pending_banners.set_state(pending.key, BannerState.QUEUED)
        raise
    except SlackError as error:
        log.warning("Banner not posted", extra={"request_id": pending.request_id, "fault": str(error)})
        if not isinstance(error, SlackRefused):  # Slack may have it: the recovery repeats it with a mark
            services.pending_banners.release(pending.key, BannerState.POSTING)
            return
        if error.is_about_token:
            services.pending_banners.release(pending.key)  # the app may be installed again
            return
        _send_privately(services, pending, add_hint(message, INVITE_HINT.format(channel=pending.channel)))
    services.pending_banners.remove(pending.key)


def _show_stop(services: Services, pending: PendingBanner, message: Message) -> None:
    banner = services.banners.find(pending.portfolio)
    if banner is None or not _edit_banner(services, pending, banner):
        services.banners.add(
            pending.portfolio, Banner(pending.channel, services.slack.post(pending.channel, message))
        )


def _show_end(services: Services, pending: PendingBanner, message: Message) -> None:
    services.pending_banners.remove_earlier(pending)
    banner = services.banners.find(pending.portfolio)
    if banner is None or not _edit_banner(services, pending, banner):
        services.slack.post(pending.channel, message)
        return
    services.banners.remove(pending.portfolio)  # after the edit, which is repeated if Slack limits the rate
    services.slack.post(banner.channel, message, thread_ts=banner.timestamp)


def _edit_banner(services: Services, pending: PendingBanner, banner: Banner) -> bool:
    """Edit a banner. Return False if it was deleted: it is forgotten then."""
    is_edited = services.slack.edit_message(banner.channel, banner.timestamp, pending.message)
    if not is_edited:
        services.banners.remove(pending.portfolio)
    return is_edited


def _send_privately(services: Services, pending: PendingBanner, message: Message) -> None:
    """Send the message to the person who made the change. It is stored first, so that a crash loses none."""
    if pending.user:
        to = store_notice(
            services, Recipient(pending.user, "", "", pending.request_id), message.text, pending.key
        )
        services.message_sender.send_privately(to, message)
