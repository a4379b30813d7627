"""Read and change people's preferences, and apply them to forms."""

import logging
from dataclasses import replace

from app.blocks.options import build_reason_option
from app.blocks.preference_forms import describe_settings
from app.blocks.text import Json, build_option
from app.errors import OmsError, format_log_name
from app.forms.orders.ticket import OrderDraft
from app.forms.preferences import Mode, Preferences, get_order_type, get_time_in_force, parse_settings
from app.forms.ticket import Draft
from app.forms.time_zones import find_time_zones
from app.oms_client import Person
from app.oms_client.portfolio_client import PortfolioClient
from app.services.dependencies import Services
from app.services.forms.submission import FormAction, FormSubmission

log = logging.getLogger(__name__)

MAX_AGE_SECONDS = 30.0
SUMMARY = "portfolio.summary"
NO_ZONE = "No time zone matches."


def load_preferences(services: Services, person: Person, request_id: str) -> Preferences:
    """Return the current preferences. If the OMS does not respond, return the last known ones."""
    try:
        preferences = PortfolioClient(services.oms, person, request_id).get_preferences()
    except OmsError as error:
        log.info("Preferences not read", extra={"request_id": request_id, "fault": format_log_name(error)})
        return services.preferences.find(person) or Preferences()
    _store_preferences(services, person, preferences)
    return preferences


def read_preferences(services: Services, person: Person, request_id: str) -> Preferences:
    """Return the preferences, at most 30 s old."""
    preferences = services.preferences.find(person, MAX_AGE_SECONDS)
    return load_preferences(services, person, request_id) if preferences is None else preferences


def fill_order_draft(draft: OrderDraft, preferences: Preferences | None) -> OrderDraft:
    """Return the entries with the defaults of the person where the command names nothing."""
    if preferences is None:
        return draft
    values = {
        "type": "" if draft.has_type else get_order_type(preferences),
        "time_in_force": "" if draft.has_time_in_force else get_time_in_force(preferences),
        "portfolio": "" if draft.portfolio else preferences.default_portfolio or "",
    }
    return replace(draft, **{name: value for name, value in values.items() if value})  # type: ignore[arg-type]


def fill_trade_draft(draft: Draft, preferences: Preferences | None) -> Draft:
    """Return the entries with the default portfolio of the person, unless the command names one."""
    if preferences is None or draft.portfolio or not preferences.default_portfolio:
        return draft
    return replace(draft, portfolio=preferences.default_portfolio)


def save_settings(services: Services, submission: FormSubmission) -> tuple[str, str]:
    """Save the preferences of a submitted form. Raises `InvalidEntries` or `OmsError`."""
    origin = submission.origin
    client = PortfolioClient(services.oms, origin.person, origin.request_id)
    changes = parse_settings(submission.entries, client.get_preferences())
    saved = client.set_preferences(changes, idempotency_key=submission.key)
    _store_preferences(services, origin.person, saved)
    return "Settings saved", "\n".join(describe_settings(saved))


def _store_preferences(services: Services, person: Person, preferences: Preferences) -> None:
    services.preferences.put(person, preferences)
    if preferences.get_mode(SUMMARY) is Mode.OFF:
        services.notifications.unsubscribe(person.team, person.user)
    else:
        services.notifications.subscribe(person.team, person.user)


def suggest_time_zones(typed: str) -> Json:
    """Return the options of the time zone field."""
    names = find_time_zones(typed)
    return (
        {"options": [build_option(name, name) for name in names]} if names else build_reason_option(NO_ZONE)
    )


SETTINGS = FormAction(save_settings, "settings")
