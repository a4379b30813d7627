"""Build the replies and messages about alerts."""

from collections.abc import Sequence

from app.blocks.amounts import format_figure
from app.blocks.messages import Message, build_notice, format_local_time
from app.blocks.replies import Reply, build_sentence_reply
from app.blocks.tables import Table
from app.blocks.text import escape, format_code, format_literal
from app.forms.alerts import TO_OWNER
from app.forms.portfolio_values import AlertSummary

NO_ALERTS = "You have no alerts. `/desk alert AAPL above 200` creates one."
KIND_NAMES = {"day_pnl": "P&L today", "drawdown": "drawdown", "limit_use": "use of limits"}


def build_alerts_reply(alerts: Sequence[AlertSummary]) -> Reply:
    """Return the alerts of the person, a row for each."""
    if not alerts:
        return build_sentence_reply(NO_ALERTS)
    rows = [
        (
            describe_condition(alert),
            alert.status,
            "repeats" if alert.repeat else "once",
            alert.deliver_to,
            alert.id,
        )
        for alert in alerts
    ]
    table = Table("Your alerts", ("Condition", "Status", "Fires", "To", "Alert"), rows)
    lines = [
        f"{format_literal(describe_condition(alert))}: {alert.status} ({format_code(alert.id)})"
        for alert in alerts[:5]
    ]
    return Reply(
        "\n".join([*lines, *([f"and {len(alerts) - 5} more"] if len(alerts) > 5 else [])]), tables=(table,)
    )


def build_created_reply(alert: AlertSummary) -> Reply:
    """Return the confirmation of a new alert."""
    often = "each time" if alert.repeat else "once"
    condition = format_literal(describe_condition(alert))
    removal = f"`/desk alert remove {escape(alert.id)}` removes it."
    recipient = (
        "You get a direct message"
        if alert.deliver_to == TO_OWNER
        else f"<#{escape(alert.deliver_to)}> gets a message"
    )
    return build_sentence_reply(f"*Alert set:* {condition}. {recipient} {often}. {removal}")


def describe_condition(alert: AlertSummary) -> str:
    """Return the condition of an alert in words."""
    subject = alert.symbol or f"{KIND_NAMES.get(alert.kind, alert.kind)} of {alert.portfolio_name}"
    side, value = ("above", alert.above) if alert.above is not None else ("below", alert.below)
    return f"{subject} {side} {format_figure(value or '')}"


def build_fired_message(condition: str, value: str, at: str) -> Message:
    """Return the message about an alert whose condition became true."""
    return build_notice(
        f":bell: *{format_literal(condition)}*: now {escape(format_figure(value))} · {format_local_time(at)}"
    )
