"""Handle the forms of commands and buttons, other than trades and orders, and the elements that open them.

They change orders, positions, kill switches, settings, broker logins and strategies.
"""

import re
from collections.abc import Callable

from slack_bolt import Ack, BoltContext

from app.blocks.form_parts import build_text_view
from app.delivery.banner_store import Banner
from app.errors import InvalidCommand, QueueFull
from app.forms import action_ids
from app.forms.portfolio_values import PositionKey
from app.forms.text_commands import FORM_VERBS, Verb, parse_text_command
from app.handlers.boundary import Body, build_push, get_origin, guard_handler
from app.handlers.registry import Handler, HandlerRegistry
from app.services.brokers.login import LOGIN
from app.services.dependencies import Services
from app.services.forms.submission import UNKNOWN_TITLE, FormAction, submit_form
from app.services.kill_switches.changes import RESUME, STOP
from app.services.orders.position_actions import CANCEL, CLOSE, EXITS
from app.services.request_failures import describe_submission_error
from app.services.request_forms import open_close_form, open_exits_form, open_request_form, show_position
from app.services.request_origin import RequestOrigin, is_channel
from app.services.settings.preferences import SETTINGS
from app.services.strategies.backtests import BACKTEST
from app.services.strategies.parameters import PARAMETERS

FORMS = {
    action_ids.CLOSE_FORM: CLOSE,
    action_ids.EXITS_FORM: EXITS,
    action_ids.CANCEL_FORM: CANCEL,
    action_ids.HALT_FORM: STOP,
    action_ids.RESUME_FORM: RESUME,
    action_ids.SETTINGS_FORM: SETTINGS,
    action_ids.LOGIN_FORM: LOGIN,
    action_ids.BACKTEST_FORM: BACKTEST,
    action_ids.PARAMETERS_FORM: PARAMETERS,
}
FORM_OPENERS = re.compile(re.escape(action_ids.FORM_OPEN) + "(:.*)?")
OpenView = Callable[[Services, RequestOrigin, Body], None]


def register(registry: HandlerRegistry, services: Services) -> None:
    """Register the forms, and the elements that open them."""
    for callback_id, action in FORMS.items():
        handler = _create_submission_handler(services, action)
        registry.view(callback_id)(guard_handler(handler, _build_error_view, build_push))
    registry.action(action_ids.POSITION_VIEW)(_create_opener(services, _show_position))
    registry.action(action_ids.POSITION_CLOSE)(_create_opener(services, _open_close_form))
    registry.action(action_ids.POSITION_EXITS)(_create_opener(services, _open_exits_form))
    registry.action(FORM_OPENERS)(_create_opener(services, _open_form))


def _create_submission_handler(services: Services, action: FormAction) -> Handler:
    def handle_submission(ack: Ack, body: Body, context: BoltContext) -> None:
        ack(**submit_form(services, get_origin(body, context), body["view"], action))

    return handle_submission


def _create_opener(services: Services, open_view: OpenView) -> Handler:
    def handle_click(ack: Ack, body: Body, context: BoltContext) -> None:
        ack()
        origin = get_action_origin(body, context)
        if not services.recent_deliveries.add(origin.trigger_id):
            return
        try:
            services.form_workers.submit(origin.request_id, open_view, services, origin, body)
        except QueueFull:
            return  # the person clicks again

    return guard_handler(handle_click)


def get_action_origin(body: Body, context: BoltContext) -> RequestOrigin:
    """Return the origin of a click. Its channel is that of the message. Raises `ForeignPerson`."""
    origin = get_origin(body, context)
    channel = str((body.get("channel") or {}).get("id", ""))
    return RequestOrigin(origin.request_id, origin.person, origin.trigger_id, channel, origin.response_url)


def _show_position(services: Services, origin: RequestOrigin, body: Body) -> None:
    option = body["actions"][0].get("selected_option") or {}
    show_position(services, origin, PositionKey.load(str(option.get("value", ""))))


def _open_close_form(services: Services, origin: RequestOrigin, body: Body) -> None:
    open_close_form(services, origin, _read_position_key(body), is_pushed=_is_in_modal(body))


def _open_exits_form(services: Services, origin: RequestOrigin, body: Body) -> None:
    open_exits_form(services, origin, _read_position_key(body), is_pushed=_is_in_modal(body))


def _open_form(services: Services, origin: RequestOrigin, body: Body) -> None:
    try:
        command = parse_text_command(str(body["actions"][0].get("value", "")), services.now())
    except InvalidCommand:
        return
    if command.verb not in FORM_VERBS:
        return
    if command.verb is Verb.RESUME and body["actions"][0].get("action_id") == action_ids.BANNER_RESUME:
        _restore_banner(services, command.portfolio, body)
    open_request_form(services, origin, command)


def _restore_banner(services: Services, portfolio: str, body: Body) -> None:
    """Store where the banner is that was clicked: the registry is empty after a restart."""
    container = body.get("container") or {}
    channel = str(container.get("channel_id", ""))
    timestamp = str(container.get("message_ts", ""))
    is_banner = timestamp and not container.get("is_ephemeral") and is_channel(channel)
    if is_banner and services.banners.find(portfolio) is None:
        services.banners.add(portfolio, Banner(channel, timestamp))


def _read_position_key(body: Body) -> PositionKey:
    return PositionKey.load(str(body["actions"][0].get("value", "")))


def _is_in_modal(body: Body) -> bool:
    return (body.get("view") or {}).get("type") == "modal"


def _build_error_view(request_id: str) -> Body:
    view = build_text_view(UNKNOWN_TITLE, describe_submission_error(request_id, is_form_open=True))
    return {"response_action": "push", "view": view}
