"""Send a message when an alert fires."""

from app.blocks.alert_reports import build_fired_message, describe_condition
from app.delivery.message_sender import Address
from app.events.registry import Event
from app.forms.portfolio_values import AlertSummary
from app.services.dependencies import Services

SLACK_PERSON_PARTS = 3
TO_OWNER = "me"


def send_fired_alert(services: Services, event: Event) -> None:
    """Send a direct message to the owner, or post in the channel that the alert names."""
    data = event.data
    parts = str(data.get("owner") or "").split(":")
    if len(parts) != SLACK_PERSON_PARTS or parts[0] != "slack":
        return  # alerts of keys are for programs
    target = str(data.get("deliver_to") or TO_OWNER)
    texts = {name: data.get(name) for name in ("symbol", "portfolio_name", "above", "below")}
    alert = AlertSummary(
        id=str(data.get("alert_id", "")),
        kind=str(data.get("kind", "")),
        repeat=bool(data.get("repeat")),
        deliver_to=target,
        status="",
        **{name: None if value is None else str(value) for name, value in texts.items()},
    )
    message = build_fired_message(
        describe_condition(alert), str(data.get("value", "")), str(data.get("at", ""))
    )
    address = Address(parts[2], "" if target == TO_OWNER else target, "", event.id)
    services.message_sender.confirm(address, message)
