"""Handle the buttons of strategies."""

from app.forms import action_ids
from app.handlers.orders.message_buttons import ButtonAction, build_button_handler
from app.handlers.registry import HandlerRegistry
from app.services import strategies
from app.services.dependencies import Services

BUTTONS: dict[str, ButtonAction] = {
    action_ids.STRATEGY_START: strategies.start_strategy,
    action_ids.STRATEGY_RESTART: strategies.restart_strategy,
    action_ids.STRATEGY_PAUSE: strategies.pause_strategy,
}


def register(registry: HandlerRegistry, services: Services) -> None:
    """Register the buttons."""
    for action_id, action in BUTTONS.items():
        registry.action(action_id)(build_button_handler(services, action, services.trade_workers))
