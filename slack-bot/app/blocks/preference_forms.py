"""Build the form of a person's preferences, and the summary of them."""

from app.blocks.amounts import format_words
from app.blocks.form_parts import build_choice, build_entry, build_modal, build_select
from app.blocks.replies import Reply, build_actions, build_button, build_sentence_reply
from app.blocks.text import Json, build_option, build_plain_text, build_section, escape, format_literal
from app.forms import action_ids, preferences
from app.forms.orders.ticket import TIME_NAMES, TYPE_NAMES, TimeInForce
from app.forms.preferences import (
    NOTIFICATION_TYPES,
    NOTIFY_PREFIX,
    Mode,
    Preferences,
    format_watchlists,
    get_order_type,
    get_time_in_force,
)
from app.forms.request_context import RequestContext

MAX_ENTRY_CHARACTERS = 3000
MAX_LISTED = 50
MODE_NAMES = {Mode.PING: "at once", Mode.BUNDLE: "bundled", Mode.OFF: "off"}
CHANGE = "Change settings…"


def build_settings_form(current: Preferences, context: RequestContext) -> Json:
    """Return the form with the current preferences."""
    blocks = [
        *_build_order_entries(current),
        *_build_format_entries(current),
        build_section("*Direct messages*: when you are notified of events"),
        *(_build_mode(name, current) for name in NOTIFICATION_TYPES),
        *_build_watchlists(current),
    ]
    return build_modal(
        "Settings", blocks, context, submit="Save settings", callback_id=action_ids.SETTINGS_FORM
    )


def _build_order_entries(current: Preferences) -> list[Json]:
    types = {
        order_type.value: build_option(name, order_type.value) for order_type, name in TYPE_NAMES.items()
    }
    times = {
        time_in_force.value: build_option(name, time_in_force.value)
        for time_in_force, name in TIME_NAMES.items()
        if time_in_force is not TimeInForce.GTD
    }
    name = current.default_portfolio
    portfolio = _build_search(action_ids.SETTINGS_PORTFOLIO, "Choose a portfolio", name or "")
    return [
        build_entry(
            preferences.DEFAULT_PORTFOLIO,
            "Default portfolio",
            portfolio,
            is_optional=True,
            hint="Preselected in forms, unless the command names another portfolio.",
        ),
        build_entry(
            preferences.ORDER_TYPE,
            "Order type",
            build_select(list(types.values()), types.get(get_order_type(current))),
        ),
        build_entry(
            preferences.TIME_IN_FORCE,
            "Time in force",
            build_select(list(times.values()), times.get(get_time_in_force(current))),
        ),
    ]


def _build_format_entries(current: Preferences) -> list[Json]:
    formats = {number_format: number_format for number_format in preferences.NUMBER_FORMATS}
    return [
        build_entry(preferences.NUMBER_FORMAT, "Numbers", build_choice(formats, current.number_format)),
        build_entry(
            preferences.TIME_ZONE,
            "Time zone",
            _build_search(action_ids.SETTINGS_TIME_ZONE, "Type a city or region", current.time_zone),
        ),
        build_entry(
            preferences.QUIET,
            "Quiet hours",
            _build_text(current.quiet_hours.text if current.quiet_hours else "", "22:00 to 07:00", 40),
            is_optional=True,
            hint="In your time zone. Direct messages wait until they end. Leave empty to turn off.",
        ),
    ]


def _build_mode(name: str, current: Preferences) -> Json:
    options = {mode: build_option(text.capitalize(), mode.value) for mode, text in MODE_NAMES.items()}
    chosen = options[current.get_mode(name)]
    label = NOTIFICATION_TYPES[name].label
    return build_entry(NOTIFY_PREFIX + name, label, build_select(list(options.values()), chosen))


def _build_watchlists(current: Preferences) -> list[Json]:
    text = format_watchlists(current.watchlists)
    if len(text) > MAX_ENTRY_CHARACTERS:
        return [build_section("Your watchlists are too long to be changed here. Use the REST API.")]
    element = _build_text(text, "Tech: AAPL, MSFT", MAX_ENTRY_CHARACTERS) | {"multiline": True}
    return [
        build_entry(
            preferences.WATCHLISTS,
            "Watchlists",
            element,
            is_optional=True,
            hint="One list a line: Tech: AAPL",
        )
    ]


def _build_search(action_id: str, placeholder: str, chosen: str) -> Json:
    element: Json = {
        "type": "external_select",
        "action_id": action_id,
        "min_query_length": 0,
        "placeholder": build_plain_text(placeholder),
    }
    return element | ({"initial_option": build_option(chosen, chosen)} if chosen else {})


def _build_text(initial: str, placeholder: str, longest: int) -> Json:
    element: Json = {
        "type": "plain_text_input",
        "max_length": longest,
        "placeholder": build_plain_text(placeholder),
    }
    return element | ({"initial_value": initial} if initial else {})


def build_settings_reply(current: Preferences) -> Reply:
    """Return the preferences of the person, with a button that changes them."""
    text = "\n".join(["*Your settings*", *describe_settings(current)])
    return build_sentence_reply(text, build_actions(build_button(CHANGE, action_ids.FORM_OPEN, "settings")))


def describe_settings(current: Preferences) -> list[str]:
    """Return the preferences as lines in mrkdwn."""
    lists = [
        f"{format_literal(name)}: {escape(', '.join(symbols[:MAX_LISTED]))}"
        for name, symbols in current.watchlists.items()
    ]
    by_mode = {
        mode: [kind.label for name, kind in NOTIFICATION_TYPES.items() if current.get_mode(name) is mode]
        for mode in Mode
    }
    messages = [f"Messages {text}: {', '.join(by_mode[mode]) or 'none'}" for mode, text in MODE_NAMES.items()]
    hours = current.quiet_hours.text if current.quiet_hours else "none"
    order_type = escape(format_words(current.order_type))
    return [
        f"Default portfolio: {format_literal(current.default_portfolio or 'none')}",
        f"Order type: {order_type} · time in force: {escape(current.time_in_force)}",
        f"Numbers: {escape(current.number_format)} · time zone: {escape(current.time_zone)}",
        f"Quiet hours: {escape(hours)}",
        *messages,
        f"Watchlists: {'; '.join(lists) or 'none'}",
    ]
