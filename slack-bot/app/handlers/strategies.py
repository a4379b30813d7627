"""Handle the buttons of strategies."""

from app.forms import action_ids
from app.handlers.orders.message_buttons import ButtonAction, build_button_handler
from app.handlers.registry import HandlerRegistry
from app.services.clicked_message import ClickedMessage
from app.services.dependencies import Services
from app.services.request_forms import open_backtest_form, open_parameters_form
from app.services.request_origin import RequestOrigin
from app.services.strategies import actions

BUTTONS: dict[str, ButtonAction] = {
    action_ids.STRATEGY_START: actions.start_strategy,
    action_ids.STRATEGY_RESTART: actions.restart_strategy,
    action_ids.STRATEGY_PAUSE: actions.pause_strategy,
    action_ids.STRATEGY_STOP: actions.stop_strategy,
}


def register(registry: HandlerRegistry, services: Services) -> None:
    """Register the buttons."""
    for action_id, action in BUTTONS.items():
        registry.action(action_id)(build_button_handler(services, action, services.trade_workers))
    registry.action(action_ids.STRATEGY_BACKTEST)(build_button_handler(services, _open_backtest_form))
    registry.action(action_ids.STRATEGY_PARAMETERS)(build_button_handler(services, _open_parameters_form))


def _open_backtest_form(
    services: Services, origin: RequestOrigin, name: str, _clicked: ClickedMessage
) -> None:
    open_backtest_form(services, origin, name)


def _open_parameters_form(
    services: Services, origin: RequestOrigin, name: str, _clicked: ClickedMessage
) -> None:
    open_parameters_form(services, origin, name)
