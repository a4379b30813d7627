"""Acknowledge Slack's requests and call the services."""

from app.handlers import (
    commands,
    events,
    interactions,
    messages,
    options,
    orders,
    overview,
    reconciliation,
    request_forms,
    strategies,
    text_commands,
    trade_buttons,
)
from app.handlers.dispatcher import RequestDispatcher
from app.handlers.registry import HandlerRegistry
from app.services.dependencies import Services


def create_dispatcher(services: Services) -> RequestDispatcher:
    """Return the dispatcher of a workspace, with every handler."""
    forms = services.open_forms
    registry = HandlerRegistry()
    commands.register(registry, services)
    text_commands.register(registry, services)
    messages.register(registry, services)
    overview.register(registry, services)
    request_forms.register(registry, services)
    orders.register(registry, services, forms)
    trade_buttons.register(registry, services)
    reconciliation.register(registry, services)
    strategies.register(registry, services)
    interactions.register(registry, services, forms)
    options.register(registry, services, forms)
    events.register(registry, services)
    return RequestDispatcher(services, registry)
