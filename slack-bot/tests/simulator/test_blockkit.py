import pytest

from simulator.blockkit.options import check_options_response
from simulator.blockkit.surfaces import check_message, check_view
from tests.simulator.doubles import (
    build_actions,
    build_button,
    build_field_block,
    build_modal,
    build_option,
    build_plain_text,
    build_section,
)

TEXT = {"type": "plain_text_input"}
GOOD_ELEMENTS = [
    TEXT
    | {
        "multiline": True,
        "min_length": 1,
        "max_length": 3_000,
        "initial_value": "",
        "placeholder": build_plain_text("x"),
    },
    {
        "type": "number_input",
        "is_decimal_allowed": True,
        "min_value": "0",
        "max_value": "10",
        "initial_value": "0.5",
    },
    {
        "type": "static_select",
        "options": [build_option("a"), build_option("b")],
        "initial_option": build_option("b"),
    },
    {
        "type": "static_select",
        "option_groups": [{"label": build_plain_text("g"), "options": [build_option("a")]}],
    },
    {"type": "external_select", "min_query_length": 0, "initial_option": build_option("a")},
    {"type": "multi_static_select", "options": [build_option("a")], "max_selected_items": 1},
    {"type": "users_select", "initial_user": "U1"},
    {"type": "conversations_select", "default_to_current_conversation": True, "response_url_enabled": True},
    {"type": "channels_select"},
    {"type": "checkboxes", "options": [build_option("a")], "initial_options": [build_option("a")]},
    {"type": "radio_buttons", "options": [build_option(str(number)) for number in range(10)]},
    {"type": "datepicker", "initial_date": "2026-11-20"},
    {"type": "timepicker", "initial_time": "23:59"},
    {"type": "datetimepicker", "initial_date_time": 1_700_000_000},
    {"type": "email_text_input"},
    {"type": "url_text_input"},
    {"type": "file_input"},
]


@pytest.mark.parametrize("element", GOOD_ELEMENTS, ids=lambda element: element["type"])
def test_valid_element_passes(element):
    assert check_view(build_modal(build_field_block("b", element))) == []


BAD_ELEMENTS = {
    "no options": ({"type": "static_select", "options": []}, "no fewer than 1 items allowed"),
    "no options at all": ({"type": "static_select"}, "missing required field: options"),
    "options twice": (
        {
            "type": "static_select",
            "options": [build_option("a")],
            "option_groups": [{"label": build_plain_text("g"), "options": [build_option("a")]}],
        },
        "only one of options and option_groups",
    ),
    "101 options": (
        {"type": "static_select", "options": [build_option(str(n)) for n in range(101)]},
        "no more than 100",
    ),
    "option text": (
        {"type": "static_select", "options": [build_option("a", "x" * 76)]},
        "less than 76 characters",
    ),
    "option value": (
        {"type": "static_select", "options": [build_option("x" * 151, "a")]},
        "less than 151 characters",
    ),
    "same values": (
        {"type": "static_select", "options": [build_option("a"), build_option("a", "b")]},
        "unique values",
    ),
    "not offered": (
        {"type": "static_select", "options": [build_option("a")], "initial_option": build_option("b")},
        "initial_option must match one of the options",
    ),
    "not all offered": (
        {"type": "checkboxes", "options": [build_option("a")], "initial_options": [build_option("b")]},
        "initial_options must match the options",
    ),
    "11 radio buttons": (
        {"type": "radio_buttons", "options": [build_option(str(n)) for n in range(11)]},
        "no more than 10",
    ),
    "max_length": (TEXT | {"max_length": 3_001}, "must be between 1 and 3000"),
    "lengths": (TEXT | {"min_length": 5, "max_length": 4}, "min_length must not be greater"),
    "bounds": (
        {"type": "number_input", "is_decimal_allowed": True, "min_value": "10", "max_value": "9"},
        "min_value must not be greater",
    ),
    "initial out of bounds": (
        {"type": "number_input", "is_decimal_allowed": True, "max_value": "9", "initial_value": "10"},
        "between min_value and max_value",
    ),
    "number not a string": (
        {"type": "number_input", "is_decimal_allowed": True, "min_value": 1},
        "as a string",
    ),
    "decimals not said": ({"type": "number_input"}, "missing required field: is_decimal_allowed"),
    "placeholder": (TEXT | {"placeholder": build_plain_text("x" * 151)}, "less than 151 characters"),
    "placeholder kind": (
        TEXT | {"placeholder": {"type": "mrkdwn", "text": "x"}},
        "must be one of: plain_text",
    ),
    "date": ({"type": "datepicker", "initial_date": "20.11.2026"}, "YYYY-MM-DD"),
    "time": ({"type": "timepicker", "initial_time": "24:00"}, "HH:mm"),
    "unknown property": (TEXT | {"color": "red"}, "invalid additional property: color"),
    "a button in an input": (build_button(), "unsupported type: button"),
    "unknown element": ({"type": "slider"}, "unsupported type: slider"),
    "element no object": ([], "unsupported type: None"),
    "flag": (TEXT | {"multiline": "yes"}, "must be a boolean"),
    "action id": (TEXT | {"action_id": "x" * 256}, "less than 256 characters"),
    "dispatch": (TEXT | {"dispatch_action_config": {"trigger_actions_on": ["never"]}}, "on_enter_pressed"),
}


@pytest.mark.parametrize(("element", "problem"), BAD_ELEMENTS.values(), ids=BAD_ELEMENTS.keys())
def test_invalid_element_is_refused_with_the_reason(element, problem):
    block = build_field_block("b", {}) | {
        "element": {"action_id": "a"} | element if isinstance(element, dict) else element
    }
    assert any(problem in line for line in check_view(build_modal(block))), check_view(build_modal(block))


BAD_BLOCKS = {
    "51 blocks": ([{"type": "divider"}] * 51, "no more than 50 items"),
    "section text": ([build_section("x" * 3_001)], "less than 3001"),
    "empty text": ([build_section("")], "more than 0 characters"),
    "empty section": ([{"type": "section"}], "missing required field: text or fields"),
    "header": ([{"type": "header", "text": build_plain_text("x" * 151)}], "less than 151"),
    "header in mrkdwn": (
        [{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}],
        "must be one of: plain_text",
    ),
    "11 fields": ([{"type": "section", "fields": [build_plain_text("x")] * 11}], "no more than 10 items"),
    "field text": ([{"type": "section", "fields": [build_plain_text("x" * 2_001)]}], "less than 2001"),
    "same block ids": (
        [build_section("a") | {"block_id": "b"}, build_section("b") | {"block_id": "b"}],
        "`block_id` b already exists",
    ),
    "same action ids": ([build_actions(build_button(), build_button())], "`action_id` go already exists"),
    "26 elements": (
        [build_actions(*[build_button(str(number)) for number in range(26)])],
        "no more than 25 items",
    ),
    "no elements": ([build_actions()], "no fewer than 1 items"),
    "11 in a context": (
        [{"type": "context", "elements": [build_plain_text("x")] * 11}],
        "no more than 10 items",
    ),
    "no alt text": (
        [{"type": "image", "image_url": "http://127.0.0.1/x.png"}],
        "missing required field: alt_text",
    ),
    "no image": ([{"type": "image", "alt_text": "x"}], "one of image_url and slack_file"),
    "unknown block": ([{"type": "carpet"}], "unsupported type: carpet"),
    "no block": (["text"], "unsupported type: None"),
    "no list": ({"type": "divider"}, "must be an array"),
    "button text": ([build_actions(build_button(text=build_plain_text("x" * 76)))], "less than 76"),
    "button value": ([build_actions(build_button(value="x" * 2_001))], "less than 2001"),
    "button style": ([build_actions(build_button(style="loud"))], "primary, danger"),
    "6 in an overflow": (
        [build_actions({"type": "overflow", "options": [build_option(str(n)) for n in range(6)]})],
        "no more than 5",
    ),
    "text input outside of a form": ([build_actions(TEXT)], "unsupported type: plain_text_input"),
    "text no string": ([build_section("x") | {"text": {"type": "mrkdwn", "text": 5}}], "must be a string"),
    "rich text part": (
        [{"type": "rich_text", "elements": [{"type": "poem", "elements": []}]}],
        "rich_text_section",
    ),
}


@pytest.mark.parametrize(("blocks", "problem"), BAD_BLOCKS.values(), ids=BAD_BLOCKS.keys())
def test_invalid_blocks_are_refused_with_the_reason(blocks, problem):
    assert any(problem in line for line in check_message(blocks)), check_message(blocks)


def test_valid_blocks_pass():
    confirm = {
        "title": build_plain_text("Sure?"),
        "text": build_plain_text("Really"),
        "confirm": build_plain_text("Yes"),
        "deny": build_plain_text("No"),
    }
    image = {"type": "image", "image_url": "http://127.0.0.1/x.png", "alt_text": "x"}
    blocks = [
        build_section("a") | {"accessory": build_button(confirm=confirm)},
        build_section("b") | {"accessory": image},
        {"type": "context", "elements": [build_plain_text("x"), image]},
        image,
        {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": []}]},
        {"type": "markdown", "text": "**x**"},
        {"type": "video"},
        build_actions(build_button("a"), build_button("b"), {"type": "workflow_button"}),
    ]
    assert check_message(blocks) == []


BAD_VIEWS = {
    "title": (build_modal(title=build_plain_text("x" * 25)), "/view/title/text"),
    "submit": (build_modal(submit=build_plain_text("x" * 25)), "/view/submit/text"),
    "close": (build_modal(close=build_plain_text("x" * 25)), "/view/close/text"),
    "metadata": (build_modal(private_metadata="x" * 3_001), "/view/private_metadata"),
    "callback id": (build_modal(callback_id="x" * 256), "/view/callback_id"),
    "101 blocks": (build_modal(*[{"type": "divider"}] * 101), "no more than 100 items"),
    "type": (build_modal(type="home"), "must be one of: modal"),
    "unknown property": (build_modal(color="red"), "invalid additional property: color"),
    "two focused": (
        build_modal(*[build_field_block(name, TEXT | {"focus_on_load": True}) for name in "ab"]),
        "only one element can have focus_on_load",
    ),
    "no object": ("text", "must be an object"),
}


@pytest.mark.parametrize(("view", "problem"), BAD_VIEWS.values(), ids=BAD_VIEWS.keys())
def test_invalid_view_is_refused_with_the_path(view, problem):
    assert any(problem in line for line in check_view(view)), check_view(view)


def test_input_needs_a_submit_button():
    view = build_modal()
    del view["submit"]
    assert any("`submit` is required" in line for line in check_view(view))


def test_form_of_100_blocks_passes():
    assert check_view(build_modal(*[{"type": "divider"}] * 100)) == []


@pytest.mark.parametrize(
    ("response", "good"),
    [
        ({"options": []}, True),
        ({"options": [build_option("a")]}, True),
        ({"option_groups": [{"label": build_plain_text("g"), "options": [build_option("a")]}]}, True),
        ({"options": [build_option("a")] * 101}, False),
        ({"options": [build_option("a", "x" * 76)]}, False),
        ({}, False),
        (None, False),
    ],
)
def test_response_with_options_is_checked(response, good):
    assert (check_options_response(response) == []) is good
