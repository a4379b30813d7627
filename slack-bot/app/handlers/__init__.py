"""Acknowledge Slack's requests and call the services."""

from slack_bolt import App

from app.handlers import (
    commands,
    events,
    installation_check,
    interactions,
    messages,
    options,
    orders,
    overview,
    reconciliation,
    request_forms,
    text_commands,
    trade_buttons,
)
from app.services.dependencies import Services
from app.services.live_price import OpenForms


def register(app: App, services: Services) -> None:
    """Register every handler, after the check of the installation."""
    installation_check.register(app, services)
    forms = OpenForms()
    commands.register(app, services)
    text_commands.register(app, services)
    messages.register(app, services)
    overview.register(app, services)
    request_forms.register(app, services)
    orders.register(app, services, forms)
    trade_buttons.register(app, services)
    reconciliation.register(app, services)
    interactions.register(app, services, forms)
    options.register(app, services, forms)
    events.register(app, services)
