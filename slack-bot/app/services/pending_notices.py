"""Store notices to people and lines in threads before they are sent, so that a crash loses none."""

import time
from dataclasses import replace

from app.blocks.messages import build_notice
from app.delivery.message_sender import DeliveryClaim, Recipient
from app.delivery.notification_store import CLAIM_SECONDS, Notification
from app.services.dependencies import Services

PRIVATE_NOTICE = "note"  # about the person's own request: sent whatever the preferences


def store_notice(services: Services, to: Recipient, text: str, key: str) -> Recipient:
    """Store a notice to a person, and return the address that records its delivery.

    If the bot is killed before Slack accepts it, the person gets it as a direct message.
    """
    now = time.time()
    notice = Notification(
        key=key,
        team=services.team,
        user=to.user,
        channel="",
        event_type=PRIVATE_NOTICE,
        text=text,
        created_at=now,
        due_at=now + CLAIM_SECONDS,
    )
    return replace(to, claim=services.notifications.add_and_claim(notice))


def store_thread_line(
    services: Services, channel: str, thread: str, text: str, event_id: str
) -> DeliveryClaim | None:
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
        event_type=PRIVATE_NOTICE,
        text=text,
        created_at=now,
        due_at=now + CLAIM_SECONDS,
        thread=thread,
    )
    return services.notifications.add_and_claim(line)


def send_notice(services: Services, to: Recipient, text: str, key: str) -> None:
    """Send a notice to a person that a crash does not lose. `key` identifies it."""
    services.message_sender.send_privately(store_notice(services, to, text, key), build_notice(text))
