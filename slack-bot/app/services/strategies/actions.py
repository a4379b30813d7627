"""Start, pause and stop strategies for people in Slack."""

import logging
from collections.abc import Callable

from app.blocks.messages import build_notice
from app.blocks.strategy_reports import describe_changed
from app.errors import OmsError, format_log_name
from app.forms.strategy_values import StrategySummary
from app.oms_client.strategy_client import StrategyClient
from app.services.clicked_message import ClickedMessage
from app.services.dependencies import Services
from app.services.request_failures import describe_failure
from app.services.request_origin import RequestOrigin

log = logging.getLogger(__name__)

PERMISSION = "starting and stopping strategies"
ChangeStrategy = Callable[[StrategyClient, str], StrategySummary]  # with an idempotency key


def start_strategy(services: Services, origin: RequestOrigin, name: str, _clicked: ClickedMessage) -> None:
    """Start a strategy, and send the person its status."""
    _change_status(
        services,
        origin,
        lambda client, key: client.start_strategy(name, acknowledges_error=False, idempotency_key=key),
    )


def restart_strategy(services: Services, origin: RequestOrigin, name: str, _clicked: ClickedMessage) -> None:
    """Start a strategy that failed, and send the person its status."""
    _change_status(
        services,
        origin,
        lambda client, key: client.start_strategy(name, acknowledges_error=True, idempotency_key=key),
    )


def pause_strategy(services: Services, origin: RequestOrigin, name: str, _clicked: ClickedMessage) -> None:
    """Pause a strategy, and send the person its status."""
    _change_status(services, origin, lambda client, key: client.pause_strategy(name, idempotency_key=key))


def stop_strategy(services: Services, origin: RequestOrigin, name: str, _clicked: ClickedMessage) -> None:
    """Stop a strategy, and send the person its status."""
    _change_status(services, origin, lambda client, key: client.stop_strategy(name, idempotency_key=key))


def _change_status(services: Services, origin: RequestOrigin, change: ChangeStrategy) -> None:
    client = StrategyClient(services.oms, origin.person, origin.request_id)
    try:
        sentence = describe_changed(change(client, f"{origin.person.team}:{origin.trigger_id}:strategy"))
    except OmsError as error:
        extra = {"request_id": origin.request_id, "person": origin.person.actor}
        log.warning("Strategy not changed", extra=extra | {"fault": format_log_name(error)})
        sentence = describe_failure(error, origin.request_id, permission=PERMISSION)
    services.message_sender.respond(origin.get_recipient(), origin.response_url, build_notice(sentence))
