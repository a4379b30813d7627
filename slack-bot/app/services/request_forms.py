"""Open the view of a position, and the forms of orders, positions, kill switches, settings and strategies."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from app.blocks.broker_forms import build_login_form
from app.blocks.form_parts import build_text_view
from app.blocks.kill_switch_forms import OpenRisk, build_halt_form, build_resume_form
from app.blocks.messages import build_notice
from app.blocks.order_forms import build_cancel_form
from app.blocks.position_views import build_close_form, build_exits_form, build_position_view
from app.blocks.preference_forms import build_settings_form
from app.blocks.strategy_forms import PARAMETERS_TITLE, build_backtest_form
from app.blocks.text import Json, format_literal
from app.delivery.slack_api import OpenedView
from app.errors import OmsError, SlackError, SlackRefused, format_log_name
from app.forms.portfolio_values import KillSwitch, OrderSummary, PositionKey
from app.forms.request_context import RequestContext
from app.forms.strategy_values import get_proposed_days
from app.forms.text import name_key
from app.forms.text_commands import TextCommand, Verb
from app.oms_client.portfolio_client import PortfolioClient
from app.services import failure_messages
from app.services.dependencies import Services
from app.services.queries.command_replies import MAX_NAMES, MAX_ORDERS, MAX_POSITIONS
from app.services.request_failures import describe_read_failure
from app.services.request_origin import RequestOrigin
from app.services.strategies.parameters import load_parameters_form

log = logging.getLogger(__name__)

LOADING = "Loading…"
TITLES = {
    Verb.CANCEL: "Cancel orders",
    Verb.CLOSE: "Close a position",
    Verb.HALT: "Stop trading",
    Verb.RESUME: "Resume trading",
    Verb.SETTINGS: "Settings",
    Verb.LOGIN: "Log in at a broker",
    Verb.BACKTEST: "Backtest",
}
EXIT_ROLES = ("take_profit", "stop_loss")
MAX_NEWEST_ROWS = 10
NO_KILL_SWITCH = (
    "Your role at this desk does not include the kill switch. Please ask a risk manager or admin."
)
NOTHING_TO_RESUME = "Trading is not stopped. There is nothing to resume."
SAME_PERSON = "You stopped this. Another person with the role risk or admin has to resume it."
NO_LOG_IN = (
    "Your role at this desk does not include the login at brokers. Please ask a risk manager or admin."
)
NO_LOGIN_NEEDED = "No broker connection of this desk needs a daily login."
NO_TRADING = "Your role at this desk does not include trading. Please ask an administrator."

NO_BACKTESTS = "Your role at this desk does not include backtests. Please ask an administrator."
NOTHING_TO_TEST = (
    "No strategy with code is registered at this desk. "
    "Name an installed one, such as `/desk backtest moving_average_cross`."
)

LoadView = Callable[[PortfolioClient], Json]


@dataclass(frozen=True)
class ViewRequest:
    """A view to open. `is_pushed`: it opens on top of an open view."""

    origin: RequestOrigin
    title: str
    is_pushed: bool = False


def open_request_form(services: Services, origin: RequestOrigin, command: TextCommand) -> None:
    """Open the form of a command, or notify the person why it does not open."""
    context = RequestContext(origin.channel, command.text)
    build = FORMS[command.verb]
    _open_and_fill(
        services, ViewRequest(origin, TITLES[command.verb]), lambda client: build(client, command, context)
    )


def show_position(services: Services, origin: RequestOrigin, key: PositionKey) -> None:
    """Open the view of a position."""
    _open_and_fill(services, ViewRequest(origin, "Position"), lambda client: load_position_view(client, key))


def open_close_form(services: Services, origin: RequestOrigin, key: PositionKey, *, is_pushed: bool) -> None:
    """Open the form that closes a position."""
    context = RequestContext(origin.channel, key.dump())

    def build(client: PortfolioClient) -> Json:
        position = client.find_position(key)
        if position is None or not position.quantity:
            return build_text_view(TITLES[Verb.CLOSE], _format_no_position(key.symbol))
        return build_close_form([position], None, context)

    _open_and_fill(services, ViewRequest(origin, TITLES[Verb.CLOSE], is_pushed), build)


def open_exits_form(services: Services, origin: RequestOrigin, key: PositionKey, *, is_pushed: bool) -> None:
    """Open the form that sets the exits of a position."""
    context = RequestContext(origin.channel, key.dump())

    def build(client: PortfolioClient) -> Json:
        position = client.find_position(key)
        if position is None or not position.quantity:
            return build_text_view("Set exits", _format_no_position(key.symbol))
        return build_exits_form(position, context)

    _open_and_fill(services, ViewRequest(origin, "Set exits", is_pushed), build)


def open_backtest_form(services: Services, origin: RequestOrigin, strategy: str) -> None:
    """Open the form that requests a backtest of a strategy."""
    command = TextCommand(Verb.BACKTEST, strategy=strategy)
    context = RequestContext(origin.channel, strategy)
    request = ViewRequest(origin, TITLES[Verb.BACKTEST])
    _open_and_fill(services, request, lambda client: _load_backtest_form(client, command, context))


def open_parameters_form(services: Services, origin: RequestOrigin, strategy: str) -> None:
    """Open the form that changes the parameters of a strategy."""
    context = RequestContext(origin.channel, strategy)
    request = ViewRequest(origin, PARAMETERS_TITLE)
    _open_and_fill(services, request, lambda client: load_parameters_form(client, strategy, context))


def load_position_view(client: PortfolioClient, key: PositionKey) -> Json:
    """Return the view of a position. Raises `OmsError`."""
    position = client.find_position(key)
    if position is None:
        return build_text_view("Position", _format_no_position(key.symbol))
    command = TextCommand(Verb.ORDERS, (key.symbol,), key.portfolio_name)
    trades = client.list_trades(command, limit=MAX_NEWEST_ROWS)
    orders = client.list_orders(command, limit=MAX_NEWEST_ROWS)
    return build_position_view(position, trades, orders, can_trade=client.get_member().has_scope("trade"))


def list_restricting(switches: list[KillSwitch]) -> list[KillSwitch]:
    """Return the kill switches of the tenant and of portfolios that restrict trading."""
    return [switch for switch in switches if not switch.is_active and switch.scope != "strategy"]


def _open_and_fill(services: Services, request: ViewRequest, build: LoadView) -> None:
    """Open a view at once, because the trigger is valid for only 3 seconds. Then fill it in."""
    origin = request.origin
    extra = {"request_id": origin.request_id, "person": origin.person.actor}
    try:
        opened = _open_loading(services, request)
    except SlackError as error:
        log.warning("View not opened", extra=extra | {"fault": str(error)})
        code = error.code if isinstance(error, SlackRefused) else ""
        sentence = failure_messages.describe_unopened_form(
            code, origin.request_id, failure_messages.TRY_AGAIN
        )
        services.message_sender.respond(origin.get_recipient(), origin.response_url, build_notice(sentence))
        return
    view = _build_view(services, request, opened, build)
    try:
        services.slack.update_view(opened.view_id, view)
    except SlackError as error:
        log.info("View not updated", extra=extra | {"fault": str(error)})


def _build_view(services: Services, request: ViewRequest, opened: OpenedView, build: LoadView) -> Json:
    origin = request.origin
    if opened.team not in ("", origin.person.team):
        return build_text_view(request.title, failure_messages.FOREIGN_PERSON)
    try:
        return build(PortfolioClient(services.oms, origin.person, origin.request_id))
    except OmsError as error:
        extra = {"request_id": origin.request_id, "fault": format_log_name(error)}
        log.info("View not filled in", extra=extra)
        return build_text_view(request.title, describe_read_failure(error, origin.request_id))


def _open_loading(services: Services, request: ViewRequest) -> OpenedView:
    view = build_text_view(request.title, LOADING)
    if request.is_pushed:
        return OpenedView(services.reply_sender.push(request.origin.trigger_id, view), "")
    return services.slack.open_view(request.origin.trigger_id, view)


def _load_close_form(client: PortfolioClient, command: TextCommand, context: RequestContext) -> Json:
    if not client.get_member().has_scope("trade"):
        return build_text_view(TITLES[Verb.CLOSE], NO_TRADING)
    positions = client.list_positions(command.portfolio, command.symbol, limit=MAX_POSITIONS)
    if not positions:
        return build_text_view(TITLES[Verb.CLOSE], _format_no_position(command.symbol))
    return build_close_form(positions, command.quantity, context)


def _load_cancel_form(client: PortfolioClient, command: TextCommand, context: RequestContext) -> Json:
    if not client.get_member().has_scope("trade", "risk"):
        return build_text_view(TITLES[Verb.CANCEL], NO_TRADING)
    order_summaries = _load_orders(client, command)
    if not order_summaries:
        return build_text_view(TITLES[Verb.CANCEL], "No order matches, or none of them is working.")
    is_chosen = bool(command.symbols or command.side or command.portfolio or command.is_all)
    is_cut = len(order_summaries) > MAX_ORDERS
    return build_cancel_form(order_summaries[:MAX_ORDERS], context, is_cut=is_cut, is_chosen=is_chosen)


def _load_orders(client: PortfolioClient, command: TextCommand) -> list[OrderSummary]:
    if command.order_id:
        order = client.find_order(command.order_id)
        return [order] if order else []
    text_command = TextCommand(Verb.ORDERS, command.symbols, command.portfolio, command.side)
    return client.list_orders(text_command, limit=MAX_ORDERS + 1)


def _load_halt_form(client: PortfolioClient, command: TextCommand, context: RequestContext) -> Json:
    if not client.get_member().has_scope("risk", "admin"):
        return build_text_view(TITLES[Verb.HALT], NO_KILL_SWITCH)
    names = client.list_portfolio_names(limit=MAX_NAMES)
    chosen = next((name for name in names if name_key(name) == name_key(command.portfolio)), "")
    if command.portfolio and not chosen:
        sentence = f"There is no portfolio called {format_literal(command.portfolio)}."
        return build_text_view(TITLES[Verb.HALT], sentence)
    portfolios = [chosen, *(name for name in names if name != chosen)] if chosen else names
    return build_halt_form(_read_open_risk(client, chosen), portfolios, chosen, context)


def _read_open_risk(client: PortfolioClient, portfolio: str) -> OpenRisk:
    orders = client.list_orders(TextCommand(Verb.ORDERS, portfolio=portfolio), limit=MAX_NAMES)
    positions = client.list_positions(portfolio, limit=MAX_NAMES)
    exits = sum(1 for order in orders if order.role in EXIT_ROLES)
    return OpenRisk(len(orders), exits, len(positions), MAX_NAMES in (len(orders), len(positions)))


def _load_resume_form(client: PortfolioClient, command: TextCommand, context: RequestContext) -> Json:
    member = client.get_member()
    if not member.has_scope("risk", "admin"):
        return build_text_view(TITLES[Verb.RESUME], NO_KILL_SWITCH)
    stopped = list_restricting(client.list_switches())
    if command.portfolio:
        stopped = [
            kill_switch
            for kill_switch in stopped
            if name_key(kill_switch.name or "") == name_key(command.portfolio)
        ]
    resumable = [kill_switch for kill_switch in stopped if kill_switch.set_by != member.actor]
    if not resumable:
        return build_text_view(TITLES[Verb.RESUME], SAME_PERSON if stopped else NOTHING_TO_RESUME)
    return build_resume_form(resumable, context)


def _load_settings_form(client: PortfolioClient, _command: TextCommand, context: RequestContext) -> Json:
    return build_settings_form(client.get_preferences(), context)


def _load_login_form(client: PortfolioClient, _command: TextCommand, context: RequestContext) -> Json:
    if not client.get_member().has_scope("risk", "admin"):
        return build_text_view(TITLES[Verb.LOGIN], NO_LOG_IN)
    logins = client.list_broker_logins()
    if not logins:
        return build_text_view(TITLES[Verb.LOGIN], NO_LOGIN_NEEDED)
    return build_login_form(logins, context)


def _load_backtest_form(client: PortfolioClient, command: TextCommand, context: RequestContext) -> Json:
    if not client.get_member().has_scope("trade"):
        return build_text_view(TITLES[Verb.BACKTEST], NO_BACKTESTS)
    names = [strategy.name for strategy in client.strategies.list_strategies() if strategy.has_code]
    if not (names or command.strategy):
        return build_text_view(TITLES[Verb.BACKTEST], NOTHING_TO_TEST)
    request_context = replace(context, subject=command.strategy)
    return build_backtest_form(
        names, get_proposed_days(datetime.fromtimestamp(time.time(), UTC)), request_context
    )


def _format_no_position(symbol: str) -> str:
    return (
        f"There is no open position in {format_literal(symbol)}."
        if symbol
        else "There are no open positions."
    )


FORMS: dict[Verb, Callable[[PortfolioClient, TextCommand, RequestContext], Json]] = {
    Verb.CANCEL: _load_cancel_form,
    Verb.CLOSE: _load_close_form,
    Verb.HALT: _load_halt_form,
    Verb.RESUME: _load_resume_form,
    Verb.SETTINGS: _load_settings_form,
    Verb.LOGIN: _load_login_form,
    Verb.BACKTEST: _load_backtest_form,
}
