"""Post a banner in the channel when trading is stopped, and edit it when trading is resumed."""

import logging
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from app.blocks.messages import Message, with_hint
from app.delivery.banner_store import Banner
from app.delivery.message_sender import INVITE_HINT, Address
from app.delivery.outbox import Job
from app.delivery.owed_banners import BannerState, OwedBanner
from app.errors import OmsError, OutcomeUnknown, Saturated, SlackError, SlackRateLimited, SlackRefused
from app.services import failure_messages
from app.services.dependencies import Services
from app.services.origin import Origin
from app.services.owed_notes import owe_note
from app.services.slack_settings import find_report_channel

log = logging.getLogger(__name__)

NO_CHANNEL = (
    "No channel got this message, because the form was not opened in one. "
    "Type `/desk risk share` in the channel of the desk."
)
CHANNEL_IDS = ("C", "G")  # the first letters of ids of channels that are no direct messages


def show_banner(services: Services, portfolio: str, message: Message) -> None:
    """Post the banner of a stop that was not made in this workspace, or edit the banner that is there."""
    _store_and_queue(services, _create(services, None, "", portfolio, message, is_end=False))


def replace_banner(services: Services, portfolio: str, message: Message) -> None:
    """Edit the banner and add the message to its thread. Without a banner, post in the channel."""
    _store_and_queue(services, _create(services, None, "", portfolio, message, is_end=True))


@contextmanager
def announce(
    services: Services, origin: Origin, channel: str, portfolio: str, message: Message, *, is_end: bool
) -> Iterator[None]:
    """Store the banner of a change that the block sends to the OMS, and post it after the block.

    If the answer of the OMS is lost, as when the bot is killed, the recovery finds out whether the OMS has
    made the change.
    """
    owed = _create(services, origin, channel, portfolio, message, is_end=is_end)
    if _has_recipient(owed):
        services.owed_banners.add(replace(owed, is_intended=True))
    try:
        yield
    except OutcomeUnknown:
        services.owed_banners.release(owed.key, BannerState.INTENDED)
        raise
    except OmsError:
        services.owed_banners.remove(owed.key)
        raise
    if _has_recipient(owed):
        services.owed_banners.set_state(owed.key, BannerState.QUEUED)
        queue_banner(services, owed)


def _has_recipient(owed: OwedBanner) -> bool:
    """Return whether there is a channel, or else a person who is told that no channel sees the stop."""
    return bool(owed.channel or (owed.user and not owed.is_end))


def _create(
    services: Services, origin: Origin | None, channel: str, portfolio: str, message: Message, *, is_end: bool
) -> OwedBanner:
    return OwedBanner(
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
    banner = services.banners.get(portfolio)
    if banner is not None:
        return banner.channel
    return channel if channel.startswith(CHANNEL_IDS) else find_report_channel(services, portfolio)


def _store_and_queue(services: Services, owed: OwedBanner) -> None:
    if _has_recipient(owed):
        services.owed_banners.add(owed)
        queue_banner(services, owed)


# The calls of one channel run one after the other, so that each sees the banner that an earlier one posted.


def queue_banner(services: Services, owed: OwedBanner) -> None:
    """Queue a stored banner. If Slack refuses it, the person gets it with a hint."""

    def release() -> None:
        services.owed_banners.release(owed.key)
        log.warning("Banner delayed", extra={"request_id": owed.request_id})

    try:
        lane = f"channel:{owed.channel or owed.user}"
        services.outbox.put(lane, Job(lambda: _post(services, owed), release))
    except Saturated:
        release()


def _post(services: Services, owed: OwedBanner) -> None:
    if not services.owed_banners.set_state(owed.key, BannerState.POSTING):
        return  # another bot posts it
    message = with_hint(owed.message, failure_messages.MAYBE_REPEATED) if owed.is_repeat else owed.message
    try:
        if owed.channel:
            (_replace if owed.is_end else _show)(services, owed, message)
        else:
            _send_privately(services, owed, with_hint(message, NO_CHANNEL))
    except SlackRateLimited:
        services.owed_banners.set_state(owed.key, BannerState.QUEUED)
        raise
    except SlackError as error:
        log.warning("Banner not posted", extra={"request_id": owed.request_id, "fault": str(error)})
        if not isinstance(error, SlackRefused):  # Slack may have it: the recovery repeats it with a mark
            services.owed_banners.release(owed.key, BannerState.POSTING)
            return
        if error.is_about_token:
            services.owed_banners.release(owed.key)  # the app may be installed again
            return
        _send_privately(services, owed, with_hint(message, INVITE_HINT.format(channel=owed.channel)))
    services.owed_banners.remove(owed.key)


def _show(services: Services, owed: OwedBanner, message: Message) -> None:
    banner = services.banners.get(owed.portfolio)
    if banner is None or not _edit(services, owed, banner):
        services.banners.add(owed.portfolio, Banner(owed.channel, services.slack.post(owed.channel, message)))


def _replace(services: Services, owed: OwedBanner, message: Message) -> None:
    services.owed_banners.remove_earlier(owed)
    banner = services.banners.get(owed.portfolio)
    if banner is None or not _edit(services, owed, banner):
        services.slack.post(owed.channel, message)
        return
    services.banners.remove(owed.portfolio)  # after the edit, which is repeated if Slack limits the rate
    services.slack.post(banner.channel, message, thread_ts=banner.timestamp)


def _edit(services: Services, owed: OwedBanner, banner: Banner) -> bool:
    """Edit a banner. Return False if it was deleted: it is forgotten then."""
    is_edited = services.slack.edit_message(banner.channel, banner.timestamp, owed.message)
    if not is_edited:
        services.banners.remove(owed.portfolio)
    return is_edited


def _send_privately(services: Services, owed: OwedBanner, message: Message) -> None:
    """Send the message to the person who made the change. It is stored first, so that a crash loses none."""
    if owed.user:
        to = owe_note(services, Address(owed.user, "", "", owed.request_id), message.text, owed.key)
        services.message_sender.send_privately(to, message)
