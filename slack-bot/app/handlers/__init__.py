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
from app.handlers.registry import HandlerRegistry
from app.services.dependencies import Services
from app.services.live_price import OpenForms


def register(app: App, services: Services) -> None:
    """Register every handler, after the check of the installation."""
    installation_check.register(app, services)
    forms, registry = OpenForms(), HandlerRegistry()
    commands.register(registry, services)
    text_commands.register(registry, services)
    messages.register(registry, services)
    overview.register(registry, services)
    request_forms.register(registry, services)
    orders.register(registry, services, forms)
    trade_buttons.register(registry, services)
    reconciliation.register(registry, services)
    interactions.register(registry, services, forms)
    options.register(registry, services, forms)
    events.register(registry, services)
    app.use(registry.answer)
