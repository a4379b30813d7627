import pytest

from tests.simulator.doubles import (
    AVA,
    TRADING,
    build_actions,
    build_button,
    build_field_block,
    build_modal,
    build_option,
    build_plain_text,
)

TEXT = {"type": "plain_text_input"}
CONNECTION_ERROR = "We had some trouble connecting. Try again?"


def submit_form(page, value="AAPL"):
    return page.act("submit", values={"symbol": {"a": value}})


def test_submission_sends_the_view_with_its_state(page, bot, open_form):
    view = open_form(private_metadata="C1")
    assert submit_form(page)["outcome"] == "closed"
    assert page.form() is None
    payload = bot.last.fields
    assert bot.last.path == "/slack/interactions"
    assert bot.last.signed
    assert payload["type"] == "view_submission"
    assert payload["user"]["id"] == AVA
    assert payload["view"]["id"] == view["id"]
    assert payload["view"]["callback_id"] == "trade"
    assert payload["view"]["private_metadata"] == "C1"
    assert payload["view"]["state"]["values"]["symbol"]["a"] == {"type": "plain_text_input", "value": "AAPL"}
    assert payload["response_urls"] == []


def test_errors_stay_beside_their_fields_and_the_entries_too(page, bot, open_form):
    open_form()
    bot.queue_response({"response_action": "errors", "errors": {"symbol": "No such symbol."}})
    assert submit_form(page, "??")["errors"] == {"symbol": "No such symbol."}
    assert page.form()["errors"] == {"symbol": "No such symbol."}
    assert page.form()["state"]["values"]["symbol"]["a"]["value"] == "??"
    assert submit_form(page)["outcome"] == "closed"


@pytest.mark.parametrize(
    "response",
    [
        {"response_action": "errors", "errors": {"other": "No such block."}},
        {"response_action": "errors", "errors": {}},
        {"response_action": "update", "view": {"type": "modal"}},
        {"response_action": "dance"},
        ["closed"],
        b"closed",
    ],
)
def test_invalid_response_is_reported_in_the_simulator(page, bot, open_form, response):
    open_form()
    bot.queue_response(response)
    outcome = submit_form(page)
    assert outcome["outcome"] == "failed"
    assert outcome["notice"] == CONNECTION_ERROR
    assert page.form()["notice"] == CONNECTION_ERROR
    assert page.log()["deliveries"][-1]["problem"]


def test_bot_that_fails_leaves_the_form_open(page, bot, open_form):
    open_form()
    bot.queue_response(status=500)
    assert submit_form(page)["notice"] == CONNECTION_ERROR
    assert submit_form(page)["outcome"] == "closed"


def test_update_redraws_the_same_view(page, bot, open_form):
    view = open_form()
    bot.queue_response({"response_action": "update", "view": build_modal(title=build_plain_text("Placing…"))})
    assert submit_form(page)["outcome"] == "updated"
    assert page.form()["id"] == view["id"]
    assert page.form()["title"]["text"] == "Placing…"


def test_pushed_view_is_on_top_until_it_is_closed(page, bot, open_form):
    view = open_form()
    bot.queue_response({"response_action": "push", "view": build_modal(title=build_plain_text("Sure?"))})
    assert submit_form(page)["outcome"] == "pushed"
    assert page.form()["previous_view_id"] == view["id"]
    page.act("close")
    assert page.form()["id"] == view["id"]


def test_clear_closes_all_views(page, bot, open_form):
    open_form()
    bot.queue_response({"response_action": "push", "view": build_modal()})
    submit_form(page)
    bot.queue_response({"response_action": "clear"})
    assert submit_form(page)["outcome"] == "cleared"
    assert page.form() is None


def test_empty_response_closes_the_front_form_only(page, bot, open_form):
    view = open_form()
    bot.queue_response({"response_action": "push", "view": build_modal()})
    submit_form(page)
    bot.queue_response({})
    assert submit_form(page)["outcome"] == "closed"
    assert page.form()["id"] == view["id"]


def test_view_updated_during_a_submission_remains(page, bot, slack, open_form):
    view = open_form()
    bot.queue_response(
        {"response_action": "errors", "errors": {"symbol": "Again."}},
        meanwhile=lambda _: slack.views_update(
            view_id=view["id"], view=build_modal(title=build_plain_text("Meanwhile"))
        ),
    )
    submit_form(page)
    assert page.form()["title"]["text"] == "Meanwhile"


def test_closed_view_is_reported_to_the_bot_only_on_request(page, bot, open_form):
    open_form()
    page.act("close")
    assert bot.last.path == "/slack/commands"
    view = open_form(notify_on_close=True)
    page.act("close")
    assert bot.last.fields["type"] == "view_closed"
    assert bot.last.fields["is_cleared"] is False
    assert bot.last.fields["view"]["id"] == view["id"]


def test_closing_everything_is_cleared(page, bot, open_form):
    open_form(notify_on_close=True)
    bot.queue_response({"response_action": "push", "view": build_modal(notify_on_close=True)})
    submit_form(page)
    page.act("close", everything=True)
    assert [request.fields["is_cleared"] for request in bot.received[-2:]] == [True, True]
    assert page.form() is None


REFUSED = [
    (TEXT, "", "Please complete this required field."),
    (TEXT | {"min_length": 3}, "ab", "at least 3"),
    (TEXT | {"max_length": 3}, "abcd", "at most 3"),
    ({"type": "number_input", "is_decimal_allowed": True}, "1e3", "a number"),
    ({"type": "number_input", "is_decimal_allowed": False}, "1.5", "a whole number"),
    ({"type": "number_input", "is_decimal_allowed": True, "min_value": "1"}, "0.5", "at least 1"),
    ({"type": "number_input", "is_decimal_allowed": True, "max_value": "1"}, "1.5", "at most 1"),
    ({"type": "email_text_input"}, "me", "email"),
    ({"type": "url_text_input"}, "me", "link"),
    ({"type": "static_select", "options": [build_option("a")]}, None, "required"),
    (
        {
            "type": "multi_static_select",
            "options": [build_option("a"), build_option("b")],
            "max_selected_items": 1,
        },
        ["a", "b"],
        "at most 1",
    ),
]


@pytest.mark.parametrize(("element", "value", "sentence"), REFUSED)
def test_form_refuses_the_same_entries_as_slack(page, bot, open_form, element, value, sentence):
    open_form(build_field_block("b", element))
    sent = len(bot.received)
    outcome = page.act("submit", values={"b": {"a": value}})
    assert outcome["outcome"] == "errors"
    assert outcome["sent"] is False
    assert sentence in outcome["errors"]["b"]
    assert len(bot.received) == sent


HELD = [
    (
        {"type": "static_select", "options": [build_option("a", "A")]},
        "a",
        "selected_option",
        build_option("a", "A"),
    ),
    ({"type": "radio_buttons", "options": [build_option("a")]}, "a", "selected_option", build_option("a")),
    (
        {"type": "checkboxes", "options": [build_option("a"), build_option("b")]},
        ["b"],
        "selected_options",
        [build_option("b")],
    ),
    (
        {"type": "multi_static_select", "options": [build_option("a")]},
        ["a"],
        "selected_options",
        [build_option("a")],
    ),
    ({"type": "users_select"}, AVA, "selected_user", AVA),
    ({"type": "multi_users_select"}, [AVA], "selected_users", [AVA]),
    ({"type": "channels_select"}, TRADING, "selected_channel", TRADING),
    ({"type": "datepicker"}, "2026-11-20", "selected_date", "2026-11-20"),
    ({"type": "timepicker"}, "09:30", "selected_time", "09:30"),
    ({"type": "datetimepicker"}, 1_700_000_000, "selected_date_time", 1_700_000_000),
    ({"type": "number_input", "is_decimal_allowed": True}, "0.5", "value", "0.5"),
    (
        {"type": "external_select", "initial_option": build_option("a")},
        "a",
        "selected_option",
        build_option("a"),
    ),
    (
        {"type": "conversations_select", "default_to_current_conversation": True},
        TRADING,
        "selected_conversation",
        TRADING,
    ),
]


@pytest.mark.parametrize(
    ("element", "value", "key", "stored"),
    HELD,
    ids=lambda part: part.get("type") if isinstance(part, dict) else None,
)
def test_every_element_s_value_has_slack_s_shape(page, bot, open_form, element, value, key, stored):
    open_form(build_field_block("b", element))
    assert page.act("submit", values={"b": {"a": value}})["outcome"] == "closed"
    assert bot.last.fields["view"]["state"]["values"]["b"]["a"] == {"type": element["type"], key: stored}


def test_current_conversation_is_preselected(page, open_form):
    open_form(
        build_field_block("b", {"type": "conversations_select", "default_to_current_conversation": True})
    )
    assert page.form()["state"]["values"]["b"]["a"]["selected_conversation"] == TRADING


def test_chosen_conversation_comes_with_a_response_url(page, bot, open_form):
    open_form(build_field_block("b", {"type": "conversations_select", "response_url_enabled": True}))
    page.act("submit", values={"b": {"a": TRADING}})
    (url,) = bot.last.fields["response_urls"]
    assert url["block_id"] == "b"
    assert url["action_id"] == "a"
    assert url["channel_id"] == TRADING
    assert page.post(url["response_url"].removeprefix(page.url), text="hi")[0] == 200


def test_only_offered_options_can_be_chosen(page, open_form):
    open_form(build_field_block("b", {"type": "static_select", "options": [build_option("a")]}))
    status, body = page.post("/control/submit", user="ava", values={"b": {"a": "z"}})
    assert status == 422
    assert body["error"] == "a offers no option 'z'."
    assert page.post("/control/submit", user="ava", values={"c": {"a": "z"}})[0] == 404


def test_field_that_dispatches_sends_the_whole_state(page, bot, open_form):
    number = {"type": "number_input", "is_decimal_allowed": True}
    view = open_form(
        build_field_block("symbol", TEXT), build_field_block("quantity", number, dispatch_action=True)
    )
    page.act("use", block_id="quantity", action_id="a", value="100", values={"symbol": {"a": "AAPL"}})
    payload = bot.last.fields
    assert payload["container"] == {"type": "view", "view_id": view["id"]}
    assert payload["actions"][0]["value"] == "100"
    assert payload["view"]["state"]["values"]["symbol"]["a"]["value"] == "AAPL"
    assert payload["trigger_id"]
    assert "response_url" not in payload


def test_field_that_does_not_dispatch_keeps_its_value_only(page, bot, open_form):
    open_form()
    sent = len(bot.received)
    assert page.act("use", block_id="symbol", action_id="a", value="AAPL")["outcome"] == "kept"
    assert len(bot.received) == sent
    assert page.form()["state"]["values"]["symbol"]["a"]["value"] == "AAPL"


def test_buttons_and_menus_act_in_forms_too(page, bot, open_form):
    menu = {"type": "overflow", "action_id": "more", "options": [build_option("edit")]}
    open_form(build_actions(build_button(value="1"), menu))
    page.act("use", action_id="go")
    assert bot.last.fields["actions"][0]["value"] == "1"
    page.act("use", action_id="more", value="edit")
    assert bot.last.fields["actions"][0]["selected_option"] == build_option("edit")
    assert page.post("/control/use", user="ava", action_id="more", value="burn")[0] == 422
    assert page.post("/control/use", user="ava", action_id="none")[0] == 404


def test_button_without_a_response_of_the_bot_is_a_notice_in_the_form(page, bot, open_form):
    open_form(build_actions(build_button()))
    bot.queue_response(status=500)
    assert page.act("use", action_id="go")["outcome"] == "failed"
    assert page.form()["notice"] == CONNECTION_ERROR


def test_user_cannot_act_in_a_form_of_another_user(page, open_form):
    view = open_form()
    assert page.post("/control/submit", user="ben", view_id=view["id"])[0] == 404
