"""Properties and limits of the interactive elements, and the blocks that may contain them."""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from simulator.blockkit import options
from simulator.blockkit.fields import (
    ACTION_ID,
    CONFIRM,
    PLACEHOLDER,
    Check,
    Findings,
    Shape,
    anything,
    array,
    boolean,
    integer,
    matching,
    one_of,
    string,
    text,
)

MAX_INPUT_CHARACTERS = 3_000
EVERYWHERE = frozenset({"section", "actions", "input"})
CLICKABLE = frozenset({"section", "actions"})
FORM_ONLY = frozenset({"input"})


@dataclass(frozen=True)
class Element:
    """The shape of an element, and the types of block that may contain it."""

    shape: Shape
    containers: frozenset[str]


def _check_lengths(element: dict[str, Any], at: str, findings: Findings) -> None:
    low = element.get("min_length")
    high = element.get("max_length")
    if isinstance(low, int) and isinstance(high, int) and low > high:
        findings.add(at, "min_length must not be greater than max_length")


def _check_number_bounds(element: dict[str, Any], at: str, findings: Findings) -> None:
    low, start, high = (
        _parse_decimal(element.get(name)) for name in ("min_value", "initial_value", "max_value")
    )
    if low is not None and high is not None and low > high:
        findings.add(at, "min_value must not be greater than max_value")
    if start is not None and ((low is not None and start < low) or (high is not None and start > high)):
        findings.add(f"{at}/initial_value", "initial_value must be between min_value and max_value")


def _parse_decimal(value: Any) -> Decimal | None:
    try:
        return Decimal(value) if isinstance(value, str) else None
    except InvalidOperation:
        return None


NUMBER = matching(r"-?\d+(\.\d+)?", "a number, as a string")
DATE = matching(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])", "a date, YYYY-MM-DD")
TIME = matching(r"([01]\d|2[0-3]):[0-5]\d", "a time, HH:mm")
DISPATCH = Shape(
    {"trigger_actions_on": array(one_of("on_enter_pressed", "on_character_entered"), 1, 2)}
).check
FOCUS: dict[str, Check] = {"action_id": ACTION_ID, "focus_on_load": boolean, "placeholder": PLACEHOLDER}
PICKER: dict[str, Check] = {**FOCUS, "confirm": CONFIRM}
MULTI: dict[str, Check] = {**PICKER, "max_selected_items": integer(1, 100)}
TYPED: dict[str, Check] = {**FOCUS, "dispatch_action_config": DISPATCH}
CONVERSATION: dict[str, Check] = {"default_to_current_conversation": boolean, "filter": anything}
URLS: dict[str, Check] = {"response_url_enabled": boolean}
OPTION_LISTS: dict[str, Check] = {"options": options.OPTIONS, "option_groups": options.OPTION_GROUPS}
OPTION_RULES = (options.options_or_groups, *options.RULES)
SOME_IDS = array(string(255), 1, 100)
SOME_OPTIONS = array(options.OPTION, 1, 100)

_BUTTON = Shape(
    {"text": text(75)},
    {
        "action_id": ACTION_ID,
        "url": string(3_000),
        "value": string(2_000),
        "style": one_of("primary", "danger"),
        "confirm": CONFIRM,
        "accessibility_label": string(75),
    },
)
_TEXT_INPUT = Shape(
    {},
    {
        **TYPED,
        "initial_value": string(MAX_INPUT_CHARACTERS, 0),
        "multiline": boolean,
        "min_length": integer(0, MAX_INPUT_CHARACTERS),
        "max_length": integer(1, MAX_INPUT_CHARACTERS),
    },
    (_check_lengths,),
)
_NUMBER_INPUT = Shape(
    {"is_decimal_allowed": boolean},
    {**TYPED, "initial_value": NUMBER, "min_value": NUMBER, "max_value": NUMBER},
    (_check_number_bounds,),
)


def _build_choice_shape(least_initial: str, initial: Check) -> Shape:
    return Shape(
        {"options": array(options.CHOICE, 1, 10)},
        {"action_id": ACTION_ID, "focus_on_load": boolean, "confirm": CONFIRM, least_initial: initial},
        options.RULES,
    )


ELEMENTS: dict[str, Element] = {
    "button": Element(_BUTTON, CLICKABLE),
    "overflow": Element(
        Shape(
            {"options": array(options.OVERFLOW_OPTION, 1, 5)},
            {"action_id": ACTION_ID, "confirm": CONFIRM},
            options.RULES,
        ),
        CLICKABLE,
    ),
    "static_select": Element(
        Shape({}, {**PICKER, **OPTION_LISTS, "initial_option": options.OPTION}, OPTION_RULES), EVERYWHERE
    ),
    "external_select": Element(
        Shape({}, {**PICKER, "initial_option": options.OPTION, "min_query_length": integer(0, 1_000)}),
        EVERYWHERE,
    ),
    "users_select": Element(Shape({}, {**PICKER, "initial_user": string(255)}), EVERYWHERE),
    "conversations_select": Element(
        Shape({}, {**PICKER, **CONVERSATION, **URLS, "initial_conversation": string(255)}), EVERYWHERE
    ),
    "channels_select": Element(Shape({}, {**PICKER, **URLS, "initial_channel": string(255)}), EVERYWHERE),
    "multi_static_select": Element(
        Shape({}, {**MULTI, **OPTION_LISTS, "initial_options": SOME_OPTIONS}, OPTION_RULES), EVERYWHERE
    ),
    "multi_external_select": Element(
        Shape({}, {**MULTI, "initial_options": SOME_OPTIONS, "min_query_length": integer(0, 1_000)}),
        EVERYWHERE,
    ),
    "multi_users_select": Element(Shape({}, {**MULTI, "initial_users": SOME_IDS}), EVERYWHERE),
    "multi_conversations_select": Element(
        Shape({}, {**MULTI, **CONVERSATION, "initial_conversations": SOME_IDS}), EVERYWHERE
    ),
    "multi_channels_select": Element(Shape({}, {**MULTI, "initial_channels": SOME_IDS}), EVERYWHERE),
    "checkboxes": Element(_build_choice_shape("initial_options", array(options.CHOICE, 1, 10)), EVERYWHERE),
    "radio_buttons": Element(_build_choice_shape("initial_option", options.CHOICE), EVERYWHERE),
    "plain_text_input": Element(_TEXT_INPUT, FORM_ONLY),
    "number_input": Element(_NUMBER_INPUT, FORM_ONLY),
    "email_text_input": Element(
        Shape({}, {**TYPED, "initial_value": string(MAX_INPUT_CHARACTERS, 0)}), FORM_ONLY
    ),
    "url_text_input": Element(
        Shape({}, {**TYPED, "initial_value": string(MAX_INPUT_CHARACTERS, 0)}), FORM_ONLY
    ),
    "datepicker": Element(Shape({}, {**PICKER, "initial_date": DATE}), EVERYWHERE),
    "timepicker": Element(Shape({}, {**PICKER, "initial_time": TIME, "timezone": string(100)}), EVERYWHERE),
    "datetimepicker": Element(
        Shape(
            {},
            {
                "action_id": ACTION_ID,
                "focus_on_load": boolean,
                "confirm": CONFIRM,
                "initial_date_time": integer(10**9, 10**10 - 1),
            },
        ),
        frozenset({"actions", "input"}),
    ),
}
# Other elements of Slack. They are accepted without checks, and the page does not draw them.
UNREAD = frozenset({"file_input", "rich_text_input", "workflow_button", "feedback_buttons", "icon_button"})


def element_in(container: str) -> Check:
    """Return a check for an element in a block of type ``container``."""

    def check(value: Any, at: str, findings: Findings) -> None:
        kind = value.get("type") if isinstance(value, dict) else None
        element = ELEMENTS.get(str(kind))
        if kind in UNREAD:
            return
        if element is None or container not in element.containers:
            findings.add(f"{at}/type", f"unsupported type: {kind}")
        else:
            element.shape.check(value, at, findings)

    return check
