"""The values of a form: Slack's ``state.values``, built from what people typed and chose."""

from typing import Any

from simulator.blockkit.options import list_options
from simulator.blockkit.surfaces import Block, list_interactive
from simulator.errors import ActError

Values = dict[str, dict[str, dict[str, Any]]]

# By element type: the key of the value in the state, and the property with the initial value.
STATE_KEYS: dict[str, tuple[str, str]] = {
    "plain_text_input": ("value", "initial_value"),
    "number_input": ("value", "initial_value"),
    "email_text_input": ("value", "initial_value"),
    "url_text_input": ("value", "initial_value"),
    "static_select": ("selected_option", "initial_option"),
    "external_select": ("selected_option", "initial_option"),
    "radio_buttons": ("selected_option", "initial_option"),
    "checkboxes": ("selected_options", "initial_options"),
    "multi_static_select": ("selected_options", "initial_options"),
    "multi_external_select": ("selected_options", "initial_options"),
    "users_select": ("selected_user", "initial_user"),
    "conversations_select": ("selected_conversation", "initial_conversation"),
    "channels_select": ("selected_channel", "initial_channel"),
    "multi_users_select": ("selected_users", "initial_users"),
    "multi_conversations_select": ("selected_conversations", "initial_conversations"),
    "multi_channels_select": ("selected_channels", "initial_channels"),
    "datepicker": ("selected_date", "initial_date"),
    "timepicker": ("selected_time", "initial_time"),
    "datetimepicker": ("selected_date_time", "initial_date_time"),
}


def initial_values(blocks: list[Block], current_channel: str | None = None) -> Values:
    """Return the state of a form that was just opened."""
    values: Values = {}
    for block, element in list_interactive(blocks):
        if element["type"] in STATE_KEYS:
            values.setdefault(block["block_id"], {})[element["action_id"]] = _build_initial_state(
                element, current_channel
            )
    return values


def carry_over_values(previous_values: Values, blocks: list[Block]) -> Values:
    """Return the state after a redraw.

    An element with the same ids and type keeps its value; every other element gets its initial value.
    """
    values = initial_values(blocks)
    for block_id, actions in values.items():
        for action_id, initial in actions.items():
            previous = previous_values.get(block_id, {}).get(action_id)
            if previous is not None and previous["type"] == initial["type"]:
                actions[action_id] = previous
    return values


def build_state(element: Block, input_value: Any, also_offered: list[Block] | None = None) -> dict[str, Any]:
    """Return the state of an element that has the given value.

    Options may be given completely or by their value. ``also_offered`` contains the options that the bot
    suggested.
    """
    key, _ = STATE_KEYS[element["type"]]
    if key == "selected_option":
        value: Any = (
            None if input_value in (None, "") else _find_option(element, input_value, also_offered or [])
        )
    elif key == "selected_options":
        value = [_find_option(element, part, also_offered or []) for part in input_value or []]
    elif key.endswith("s"):
        value = list(input_value or [])
    else:
        value = None if input_value in (None, "") else _parse_scalar(element, input_value)
    return {"type": element["type"], key: value}


def is_empty(state: dict[str, Any]) -> bool:
    """Whether a state has no value."""
    key, _ = STATE_KEYS[state["type"]]
    return state.get(key) in (None, "", [])


def _build_initial_state(element: Block, current_channel: str | None) -> dict[str, Any]:
    key, initial = STATE_KEYS[element["type"]]
    value = element.get(initial)
    if value is None and element.get("default_to_current_conversation"):
        value = current_channel
    if value is None and key.endswith("s"):
        value = []
    return {"type": element["type"], key: value if value != "" else None}


def _parse_scalar(element: Block, input_value: Any) -> Any:
    return int(input_value) if element["type"] == "datetimepicker" else str(input_value)


def _find_option(element: Block, choice: Any, also_offered: list[Block]) -> Block:
    option_value = choice.get("value") if isinstance(choice, dict) else choice
    choices = [*list_options(element), *also_offered, *_list_initial_options(element)]
    for option in choices:
        if option.get("value") == option_value:
            return {name: option[name] for name in ("text", "value", "description") if name in option}
    raise ActError(f"{element['action_id']} offers no option {option_value!r}.")


def _list_initial_options(element: Block) -> list[Block]:
    first = element.get("initial_option")
    return [*([first] if first else []), *(element.get("initial_options") or [])]
