"""Choose who is notified of an event of the OMS."""

from app.blocks.alert_reports import build_fired_message, describe_condition
from app.blocks.notifications import (
    describe_approval_event,
    describe_login_request,
    describe_order_event,
    describe_summary,
)
from app.delivery.message_sender import Recipient
from app.delivery.posted_messages import MessageKind
from app.events.registry import Event
from app.forms.alerts import TO_OWNER
from app.forms.portfolio_values import AlertSummary
from app.oms_client import Person
from app.oms_client.daily_reports import parse_report
from app.services.dependencies import Services
from app.services.notifications.daily_reports import store_report
from app.services.notifications.delivery import notify_channel, notify_person
from app.services.notifications.reminders import add_reminder
from app.services.orders.approval_requests import announce_approval_request
from app.services.pending_notices import send_notice
from app.services.settings.slack_settings import find_report_channel

SLACK_PERSON_PARTS = 3
EXPIRED = "approval.expired"


def notify_of_alert(services: Services, event: Event) -> None:
    """Notify the owner of an alert that it fired, or the channel that the alert names."""
    payload = event.payload
    owner = find_person(str(payload.get("owner") or ""))
    if owner is None:
        return  # alerts of keys are for programs
    target = str(payload.get("deliver_to") or TO_OWNER)
    texts = {name: payload.get(name) for name in ("symbol", "portfolio_name", "above", "below")}
    alert = AlertSummary(
        id=str(payload.get("alert_id", "")),
        kind=str(payload.get("kind", "")),
        repeat=bool(payload.get("repeat")),
        deliver_to=target,
        status="",
        **{name: None if value is None else str(value) for name, value in texts.items()},
    )
    condition = describe_condition(alert)
    text = build_fired_message(condition, str(payload.get("value", "")), str(payload.get("at", ""))).text
    if target == TO_OWNER:
        notify_person(services, owner, event.type, text, event.id)
    else:
        notify_channel(services, target, event.type, text, event.id, owner)


def notify_of_order(services: Services, event: Event) -> None:
    """Notify the person who placed the order in Slack."""
    order_message = services.posted_messages.find(str(event.payload.get("order_id") or ""), MessageKind.ORDER)
    if order_message is not None:
        text = describe_order_event(event.type, event.payload)
        notify_person(services, Person(order_message.team, order_message.user), event.type, text, event.id)


def notify_of_request(services: Services, event: Event) -> None:
    """Ask in the approvers' channel, notify the approvers that the portfolio names, and remind them once."""
    requester = find_person(str(event.payload.get("requested_by") or ""))
    announce_approval_request(services, event.payload, requester, event.id)
    text = describe_approval_event(event.type, event.payload)
    for approver in event.payload.get("approvers") or ():
        person = find_person(str(approver))
        if person is not None and str(approver) != event.payload.get("requested_by"):
            notify_person(services, person, event.type, text, event.id)
    add_reminder(services, event.created_at, event.payload)


def notify_of_decision(services: Services, event: Event) -> None:
    """Notify the person who placed an order about the decision on it."""
    order_id = str(event.payload.get("order_id") or "")
    text = describe_approval_event(event.type, event.payload)
    order_message = services.posted_messages.find(order_id, MessageKind.ORDER)
    if order_message is None:
        _notify_requester(services, order_id, text, event.id)
    elif event.type != EXPIRED:  # the expiry of the order itself is notified
        notify_person(services, Person(order_message.team, order_message.user), event.type, text, event.id)


def notify_of_close(services: Services, event: Event) -> None:
    """Sum up the day of a portfolio, in the channel of the desk and for the people who want it."""
    text = describe_summary(event.payload)
    portfolio = str(event.payload.get("portfolio_name") or "")
    channel = find_report_channel(services, portfolio)
    if channel:
        notify_channel(services, channel, event.type, text, event.id)
    for team, user in services.notifications.list_subscribers():
        notify_person(services, Person(team, user), event.type, text, event.id, portfolio)


def request_broker_login(services: Services, event: Event) -> None:
    """Ask in the channel of the desk for the daily login at a broker."""
    channel = find_report_channel(services, str(event.payload.get("portfolio_name") or ""))
    if channel:
        notify_channel(services, channel, event.type, describe_login_request(event.payload), event.id)


def upload_report(services: Services, event: Event) -> None:
    """Upload a daily report to the channel for reports. Without a channel, nothing is uploaded."""
    channel = find_report_channel(services)
    report = parse_report(event.payload)
    if channel and report is not None:
        store_report(services, channel, report, event.id)


def find_person(actor: str) -> Person | None:
    """Return the person in Slack that the OMS names, None for others."""
    parts = actor.split(":")
    if len(parts) != SLACK_PERSON_PARTS or parts[0] != "slack":
        return None
    try:
        return Person(parts[1], parts[2])
    except ValueError:
        return None


def _notify_requester(services: Services, order_id: str, text: str, event_id: str) -> None:
    """Notify a person in Slack about an order that was placed elsewhere, which no thread shows."""
    request = services.posted_messages.find(order_id, MessageKind.APPROVAL)
    if request is not None and request.user:
        send_notice(services, Recipient(request.user, "", "", event_id), text, f"{event_id}:{request.user}")
