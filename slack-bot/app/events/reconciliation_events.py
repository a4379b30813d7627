"""Show brokers that are lost, and differences from their books, when the OMS reports them."""

from app.blocks.reconciliation import describe_connection
from app.events.registry import Event
from app.services.brokers.issue_cards import show_issue
from app.services.dependencies import Services
from app.services.notifications.delivery import notify_channel
from app.services.settings.slack_settings import find_report_channel


def show_reconciliation_issue(services: Services, event: Event) -> None:
    """Post or edit the card of an issue."""
    show_issue(services, event.payload, event.id)


def show_connection(services: Services, event: Event) -> None:
    """Notify the channel that a broker is connected, does not respond, or refused the connection."""
    channel = find_report_channel(services)
    if channel:
        notify_channel(services, channel, event.type, describe_connection(event.payload), event.id)
