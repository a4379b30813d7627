"""Read the values of the overview, and publish it."""

import logging
from dataclasses import replace
from functools import partial

from app.blocks.messages import format_local_time
from app.blocks.overview_view import Overview, build_overview, build_overview_notice
from app.blocks.text import Json
from app.delivery.reply_sender import BuildView
from app.delivery.send_queue import SendJob
from app.delivery.viewer_store import StoredViewer
from app.errors import OmsError, QueueFull, SlackError, SlackRateLimited, format_log_name
from app.forms.overview_tabs import Tab, list_tabs
from app.forms.text_commands import TextCommand, Verb
from app.oms_client import Person
from app.oms_client.portfolio_client import PortfolioClient
from app.services.dependencies import Services
from app.services.queries.command_replies import (
    MAX_APPROVALS,
    MAX_NAMES,
    MAX_ORDERS,
    list_values,
    read_positions,
)
from app.services.request_failures import describe_read_failure
from app.services.state.overview_viewers import MAX_IDLE_SECONDS

log = logging.getLogger(__name__)

MAX_ACTIVITY = 20
# The tabs that show the changes of a family of events.
_TABS_BY_EVENT: dict[str, tuple[Tab, ...]] = {
    "order": (Tab.POSITIONS, Tab.ORDERS, Tab.APPROVALS, Tab.ACTIVITY),
    "trade": (Tab.OVERVIEW, Tab.POSITIONS, Tab.ACTIVITY),
    "cash": (Tab.OVERVIEW,),
    "approval": (Tab.ORDERS, Tab.APPROVALS),
    "kill_switch": tuple(Tab),
}
EVENT_PATTERNS = tuple(f"{family}.*" for family in _TABS_BY_EVENT)


def publish_overview(services: Services, person: Person, request_id: str) -> None:
    """Read the values of the person's tab and publish them. Raises `SlackRateLimited`."""
    tab, active_at = services.overview_viewers.get(person)
    services.stored_viewers.save(StoredViewer(person.user, tab.value, active_at))
    extra = {"request_id": request_id, "person": person.actor, "tab": tab.value}
    try:
        overview = load_overview(services, PortfolioClient(services.oms, person, request_id), tab)
        build: BuildView = partial(build_overview, overview)
    except OmsError as error:
        log.info("Overview not read", extra=extra | {"fault": format_log_name(error)})
        notice = build_overview_notice(describe_read_failure(error, request_id))
        build = partial(_get_notice, notice)
    if services.overview_viewers.get_tab(person) is not tab:
        return  # the person has chosen another tab, which is being published
    try:
        services.reply_sender.publish(person.user, build)
    except SlackRateLimited:
        raise
    except SlackError as error:
        log.warning("Overview not published", extra=extra | {"fault": str(error)})


def _get_notice(notice: Json, *, with_tables: bool) -> Json:  # noqa: ARG001 - a notice has no tables
    return notice


def show_overview(services: Services, person: Person, request_id: str) -> None:
    """Publish a person's overview now. If Slack is busy, queue it."""
    try:
        publish_overview(services, person, request_id)
    except SlackRateLimited:
        queue_overview(services, person, request_id)


def queue_overview(services: Services, person: Person, request_id: str) -> None:
    """Queue a redraw of a person's overview. Changes until it begins need no other one."""
    if not services.overview_viewers.claim(person):
        return

    def work() -> None:
        services.overview_viewers.release(person)
        publish_overview(services, person, request_id)

    def log_abandoned() -> None:
        log.warning("Overview given up", extra={"request_id": request_id, "person": person.actor})

    try:
        services.overview_queue.put(f"overview:{person.user}", SendJob(work, log_abandoned))
    except QueueFull:
        services.overview_viewers.release(person)
        log_abandoned()


def queue_changed_overviews(services: Services, event_type: str, request_id: str) -> None:
    """Queue a redraw for each person who looks at a tab that an event of the OMS changes, at any bot."""
    tabs = _TABS_BY_EVENT.get(event_type.partition(".")[0], ())
    since = services.now().timestamp() - MAX_IDLE_SECONDS
    for stored_viewer in services.stored_viewers.list_active([tab.value for tab in tabs], since):
        services.overview_viewers.record(
            Person(services.team, stored_viewer.user), Tab(stored_viewer.tab), stored_viewer.active_at
        )
    for person in services.overview_viewers.list_active(tabs):
        queue_overview(services, person, request_id)


def load_overview(services: Services, client: PortfolioClient, tab: Tab) -> Overview:
    """Return the values of a tab. A tab that the person may not see becomes the first one.

    Raises `OmsError`.
    """
    member = client.get_member()
    current_tab = tab if tab in list_tabs(member) else Tab.OVERVIEW
    at = format_local_time(services.now().isoformat())
    overview = Overview(member, current_tab, client.list_switches(), shown_at=at)
    return _READERS[current_tab](client, overview)


def _read_summary(client: PortfolioClient, overview: Overview) -> Overview:
    values, is_cut = list_values(client, client.list_portfolio_names(limit=MAX_NAMES))
    return replace(overview, portfolios=values, is_cut=is_cut)


def _read_positions(client: PortfolioClient, overview: Overview) -> Overview:
    return replace(overview, positions=read_positions(client))


def _read_orders(client: PortfolioClient, overview: Overview) -> Overview:
    order_summaries = client.list_orders(TextCommand(Verb.ORDERS), limit=MAX_ORDERS + 1)
    return replace(overview, orders=order_summaries[:MAX_ORDERS], is_cut=len(order_summaries) > MAX_ORDERS)


def _read_approvals(client: PortfolioClient, overview: Overview) -> Overview:
    return replace(overview, approvals=client.list_approvals(limit=MAX_APPROVALS))


def _read_activity(client: PortfolioClient, overview: Overview) -> Overview:
    trades = client.list_trades(TextCommand(Verb.TRADES), limit=MAX_ACTIVITY)
    orders = client.list_orders(TextCommand(Verb.ORDERS, is_all=True), limit=MAX_ACTIVITY)
    return replace(overview, trades=trades, orders=orders)


def _read_settings(client: PortfolioClient, overview: Overview) -> Overview:
    return replace(overview, preferences=client.get_preferences())


_READERS = {
    Tab.OVERVIEW: _read_summary,
    Tab.POSITIONS: _read_positions,
    Tab.ORDERS: _read_orders,
    Tab.APPROVALS: _read_approvals,
    Tab.ACTIVITY: _read_activity,
    Tab.SETTINGS: _read_settings,
}
