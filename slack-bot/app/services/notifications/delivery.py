"""Notify people and channels about events, as people's preferences say: at once, bundled, or not at all."""

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import filterfalse, groupby

from app.blocks.messages import add_hint
from app.blocks.notifications import build_notification
from app.delivery.message_sender import INVITE_HINT
from app.delivery.notification_store import CLAIM_LEASE_SECONDS, Notification
from app.delivery.posted_messages import MessageKind
from app.errors import (
    OmsError,
    OmsForbidden,
    QueueFull,
    SlackError,
    SlackRateLimited,
    SlackRefused,
    format_log_name,
)
from app.forms.preferences import Mode
from app.oms_client import Person
from app.services.brokers.issue_cards import CARD, send_card
from app.services.dependencies import Services
from app.services.failure_messages import POSSIBLE_REPEAT_HINT
from app.services.notifications.daily_reports import REPORT, start_uploads
from app.services.notifications.reminders import REMINDER, send_reminder
from app.services.settings.preferences import SUMMARY, load_preferences
from app.services.trades.reversal import REVERSAL, send_reversal

log = logging.getLogger(__name__)

BUNDLE_SECONDS = 60.0  # how long a bundled notification waits for others
SUMMARY_SECONDS = 5.0  # portfolios that close together are one list
MAX_DELIVERY_AGE_SECONDS = 24 * 3600.0
DELIVERY = "notifications"  # key of the queued work
SendNotification = Callable[[Services, Notification], None]  # raises `OmsError` or `SlackError`
SENDERS: dict[str, SendNotification] = {  # each sends a separate message
    REMINDER: send_reminder,
    CARD: send_card,
    REVERSAL: send_reversal,
}


def notify_person(
    services: Services, person: Person, event_type: str, text: str, event_id: str, portfolio: str = ""
) -> None:
    """Notify a person about an event, if they may see the portfolio. Return at once."""
    key = f"{event_id}:{person.user}"
    notification = Notification(
        key=key,
        team=person.team,
        user=person.user,
        channel="",
        event_type=event_type,
        text=text,
        created_at=time.time(),
    )
    _store_and_deliver(services, replace(notification, portfolio=portfolio))


def notify_channel(
    services: Services, channel: str, event_type: str, text: str, event_id: str, owner: Person | None = None
) -> None:
    """Notify a channel about an event. If it cannot be posted there, `owner` is notified. Return at once."""
    team = services.team
    user = owner.user if owner else ""
    wait = SUMMARY_SECONDS if event_type == SUMMARY else 0.0
    now = time.time()
    _store_and_deliver(
        services,
        Notification(
            key=f"{event_id}:{channel}",
            team=team,
            user=user,
            channel=channel,
            event_type=event_type,
            text=text,
            created_at=now,
            due_at=now + wait,
        ),
    )


def run_notifications(services: Services) -> None:
    """Send notifications when they are due, until the bot stops."""
    while not services.stopping.wait(services.waits.notifications_every):
        try:
            deliver_notifications(services)
        except Exception:  # one failure must not end the thread
            log.exception("Notifications not delivered")


def deliver_notifications(services: Services) -> None:
    """Apply preferences to new notifications, and send the due notifications: one message a recipient."""
    with services.notification_pace.lock:
        _set_due_times(services, services.notifications.list_new())
        due_notifications = services.notifications.list_due(time.time())
        start_uploads(services, filter(_is_report, due_notifications))
        messages = sorted(filterfalse(_is_report, due_notifications), key=_get_place)
        for (recipient, _), rows in groupby(messages, key=_get_place):
            _send_all(services, recipient, list(rows))


def _is_report(notification: Notification) -> bool:
    return notification.event_type == REPORT


def _get_place(notification: Notification) -> tuple[str, str]:
    return notification.recipient, notification.thread


def _store_and_deliver(services: Services, notification: Notification) -> None:
    services.notifications.add(notification)
    if not services.queued_order_work.add(DELIVERY):
        return

    def deliver() -> None:
        services.queued_order_work.remove(DELIVERY)
        deliver_notifications(services)

    try:
        services.query_workers.submit(notification.key, deliver)
    except QueueFull:  # the thread that sends what is due sends it later
        services.queued_order_work.remove(DELIVERY)


def _set_due_times(services: Services, new: Iterable[Notification]) -> None:
    now = datetime.fromtimestamp(time.time(), UTC)
    for user, rows in groupby(
        sorted(new, key=lambda notification: notification.user), key=lambda notification: notification.user
    ):
        all_rows = list(rows)
        person = Person(all_rows[0].team, user)
        notifications = [row for row in all_rows if _can_receive(services, person, row)]
        if not notifications:
            continue
        preferences = load_preferences(services, person, notifications[0].key)
        quiet_until = preferences.find_end_of_quiet_hours(now)
        for notification in notifications:
            mode = preferences.get_mode(notification.event_type)
            if mode is Mode.OFF:
                services.notifications.remove(notification.key)
                continue
            due_at = notification.created_at + (BUNDLE_SECONDS if mode is Mode.BUNDLE else 0.0)
            quiet = quiet_until.timestamp() if quiet_until else 0.0
            services.notifications.set_due(notification.key, max(due_at, quiet))


def _can_receive(services: Services, person: Person, notification: Notification) -> bool:
    """Return whether the person may see the portfolio. If the OMS does not respond, the check is repeated."""
    if not notification.portfolio:
        return True
    try:
        name = services.oms.find_portfolio(person, notification.portfolio, request_id=notification.key)
    except OmsForbidden:
        name = None
    except OmsError as error:
        log.info("Notification delayed", extra={"request_id": notification.key, "fault": str(error)})
        if time.time() - notification.created_at > MAX_DELIVERY_AGE_SECONDS:
            services.notifications.remove(notification.key)
        return False
    if name is None:
        services.notifications.remove(notification.key)
    return name is not None


def _send_all(services: Services, recipient: str, notifications: list[Notification]) -> None:
    if not services.notification_pace.is_ready(recipient):
        return
    grouped = _send_single(services, notifications)
    until = time.time() + CLAIM_LEASE_SECONDS
    rows = [row for row in grouped if services.notifications.claim(row, until)]
    if not rows:
        return
    message = build_notification([row.text for row in rows])
    if any(row.attempts for row in rows):
        message = add_hint(message, POSSIBLE_REPEAT_HINT)
    try:
        channel = rows[0].channel or services.slack.open_direct_channel(rows[0].user)
        services.slack.post(channel, message, thread_ts=_find_thread(services, rows[0]))
    except SlackError as error:
        _retry_or_give_up(services, rows, error)
        return
    services.notification_pace.record(recipient)
    for notification in rows:
        services.notifications.remove(notification.key)


def _find_thread(services: Services, notification: Notification) -> str | None:
    if not notification.thread:
        return None
    first = services.posted_messages.find(notification.thread, MessageKind.STRATEGY)
    return first.ts if first is not None and first.channel == notification.channel else None


def _retry_or_give_up(services: Services, rows: list[Notification], error: SlackError) -> None:
    """Keep messages to send later. A message that its channel refuses goes to its owner, or is given up."""
    if isinstance(error, SlackRateLimited | SlackRefused):
        for notification in rows:
            services.notifications.retract(notification.key)
    if isinstance(error, SlackRateLimited):
        return
    log.warning("Notification not delivered", extra={"request_id": rows[0].key, "fault": str(error)})
    services.notification_pace.record(rows[0].recipient)
    for notification in rows:
        if _is_final(error) and notification.channel and notification.user:
            text = f"{notification.text}\n{INVITE_HINT.format(channel=notification.channel)}"
            services.notifications.redirect(notification, text, time.time())
        elif _is_final(error) or time.time() - notification.created_at > MAX_DELIVERY_AGE_SECONDS:
            services.notifications.remove(notification.key)


def _is_final(error: SlackError) -> bool:
    return isinstance(error, SlackRefused) and not error.is_about_token


def _send_single(services: Services, notifications: Iterable[Notification]) -> list[Notification]:
    """Send the notifications that need a separate message, each after its claim. Return the others."""
    grouped_notifications = []
    for notification in notifications:
        if send := SENDERS.get(notification.event_type):
            if services.notifications.claim(notification, time.time() + CLAIM_LEASE_SECONDS):
                _send_alone(services, notification, send)
        else:
            grouped_notifications.append(notification)
    return grouped_notifications


def _send_alone(services: Services, notification: Notification, send: SendNotification) -> None:
    try:
        send(services, notification)
    except SlackError as error:
        _retry_or_give_up(services, [notification], error)
    except OmsError as error:
        extra = {"request_id": notification.key, "fault": format_log_name(error)}
        log.info("Notification delayed", extra=extra)
        services.notifications.retract(notification.key)
        if time.time() - notification.due_at > MAX_DELIVERY_AGE_SECONDS:
            services.notifications.remove(notification.key)
    else:
        services.notifications.remove(notification.key)
