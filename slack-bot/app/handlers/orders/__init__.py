"""Acknowledge Slack's requests about orders and call the services."""

from app.handlers.orders import approvals, commands, form, message_buttons
from app.handlers.registry import HandlerRegistry
from app.services.dependencies import Services
from app.services.state.open_forms import OpenForms


def register(registry: HandlerRegistry, services: Services, forms: OpenForms) -> None:
    """Register the handlers of orders."""
    commands.register(registry, services)
    form.register(registry, services, forms)
    message_buttons.register(registry, services)
    approvals.register(registry, services)
