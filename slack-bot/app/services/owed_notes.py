"""Store notes to people and lines in threads before they are sent, so that a crash loses none."""

import time
from dataclasses import replace

from app.blocks.messages import notice
from app.delivery.message_sender import Address, DeliveryReceipt
from app.delivery.notification_store import CLAIM_SECONDS, Notification
from app.services.dependencies import Services

PRIVATE_NOTE = "note"  # a notice of their own request is sent, whatever their preferences


def owe_note(services: Services, to: Address, text: str, key: str) -> Address:
    """Store a note to a person, and return the address that records its delivery.

    If the bot is killed before Slack accepts it, the person gets it as a direct message.
    """
    now = time.time()
    note = Notification(key, services.team, to.user, "", PRIVATE_NOTE, text, now, now + CLAIM_SECONDS)
    return replace(to, receipt=services.notifications.owe(note))


def owe_thread_line(
    services: Services, channel: str, thread: str, text: str, event_id: str
) -> DeliveryReceipt | None:
    """Store a line about a strategy, and return the right to post it.

    If the bot is killed before Slack accepts it, it is posted later: in the thread of the message with the id
    `thread`, or in the channel if the message was not posted.
    """
    now = time.time()
    line = Notification(
        key=f"{event_id}:{channel}",
        team=services.team,
        user="",
        channel=channel,
        event_type=PRIVATE_NOTE,
        text=text,
        created_at=now,
        due_at=now + CLAIM_SECONDS,
        thread=thread,
    )
    return services.notifications.owe(line)


def send_note(services: Services, to: Address, text: str, key: str) -> None:
    """Send a note to a person that a crash does not lose. `key` identifies it."""
    services.message_sender.send_privately(owe_note(services, to, text, key), notice(text))
