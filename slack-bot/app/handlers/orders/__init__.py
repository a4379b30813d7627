"""Acknowledge Slack's requests about orders and call the services."""

from slack_bolt import App

from app.handlers.orders import approvals, commands, form, message_buttons
from app.services.dependencies import Services
from app.services.live_price import OpenForms


def register(app: App, services: Services, forms: OpenForms) -> None:
    """Register the handlers of orders."""
    commands.register(app, services)
    form.register(app, services, forms)
    message_buttons.register(app, services)
    approvals.register(app, services)
