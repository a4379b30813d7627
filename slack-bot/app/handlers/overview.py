"""Handle the overview in the home tab of the app: opening it, choosing tabs, and its buttons."""

import logging
import re
from collections.abc import Callable, Mapping
from typing import Any

from slack_bolt import Ack, BoltContext

from app.blocks.overview_view import build_overview_notice
from app.errors import ForeignPerson, QueueFull, SlackError
from app.forms import action_ids
from app.forms.orders.ticket import OrderDraft
from app.forms.overview_tabs import parse_tab
from app.forms.ticket import Draft
from app.handlers.boundary import Body, get_origin, get_request_id, guard_handler
from app.handlers.registry import Handler, HandlerRegistry
from app.oms_client import Person
from app.services import failure_messages
from app.services.dependencies import Services
from app.services.event_person import find_event_person
from app.services.orders.form import open_order_form
from app.services.queries.overview import queue_overview, show_overview
from app.services.request_origin import RequestOrigin
from app.services.trades.form import open_form

log = logging.getLogger(__name__)

TABS = re.compile(re.escape(action_ids.TAB_PREFIX) + ".*")


def register(registry: HandlerRegistry, services: Services) -> None:
    """Register the event of the home tab, its tabs and its buttons."""

    @guard_handler
    def handle_opening(ack: Ack, body: Body, context: BoltContext) -> None:
        ack()
        event = body.get("event") or {}
        if event.get("tab") == "home" and services.recent_deliveries.add(str(body.get("event_id", ""))):
            _start_opening(services, get_request_id(context), event)

    @guard_handler
    def handle_tab(ack: Ack, body: Body, context: BoltContext) -> None:
        ack()
        origin = get_origin(body, context)
        services.overview_viewers.record(origin.person, parse_tab(str(body["actions"][0].get("value", ""))))
        _show_chosen_tab(services, origin.person, origin.request_id)

    registry.event("app_home_opened")(handle_opening)
    registry.action(TABS)(handle_tab)
    registry.action(action_ids.TRADE_OPEN)(
        _create_opener(
            services, lambda origin: open_form(services, origin, Draft(), failure_messages.CLICK_AGAIN)
        )
    )
    registry.action(action_ids.ORDER_OPEN)(
        _create_opener(
            services,
            lambda origin: open_order_form(services, origin, OrderDraft(), failure_messages.CLICK_AGAIN),
        )
    )


def _create_opener(services: Services, open_entry_form: Callable[[RequestOrigin], None]) -> Handler:
    """Return a handler of a button that opens an empty form."""

    @guard_handler
    def handle_click(ack: Ack, body: Body, context: BoltContext) -> None:
        ack()
        origin = get_origin(body, context)
        if services.recent_deliveries.add(origin.trigger_id):
            services.form_workers.submit(origin.request_id, open_entry_form, origin)

    return handle_click


def _start_opening(services: Services, request_id: str, event: Mapping[str, Any]) -> None:
    try:
        services.query_workers.submit(request_id, open_overview, services, request_id, event)
    except QueueFull:
        log.warning("Overview not opened", extra={"request_id": request_id})


def open_overview(services: Services, request_id: str, event: Mapping[str, Any]) -> None:
    """Publish the overview of the person who opened the home tab."""
    try:
        person = find_event_person(services, event)
    except ForeignPerson as error:
        log.warning("Foreign person refused", extra={"request_id": request_id, "fault": str(error)})
        _publish_refusal(services, str(event.get("user", "")))
        return
    services.overview_viewers.record(person)
    show_overview(services, person, request_id)


def _publish_refusal(services: Services, user: str) -> None:
    view = build_overview_notice(failure_messages.FOREIGN_PERSON)
    try:
        services.reply_sender.publish(user, lambda *, with_tables: view)  # noqa: ARG005 - no tables
    except SlackError as error:
        log.info("Overview not published", extra={"fault": str(error)})


def _show_chosen_tab(services: Services, person: Person, request_id: str) -> None:
    """Show the chosen tab at once. If no worker is free, queue it."""
    try:
        services.query_workers.submit(request_id, show_overview, services, person, request_id)
    except QueueFull:
        queue_overview(services, person, request_id)
