import pytest

from tests.simulator.doubles import AVA, build_field_block, build_modal, build_plain_text, build_section
from tests.simulator.web_api import get_error

TEXT = {"type": "plain_text_input"}


def test_form_opens_for_the_person_of_the_trigger(slack, page, trigger):
    view = slack.views_open(trigger_id=trigger, view=build_modal(private_metadata="m"))["view"]
    assert page.form("ava")["id"] == view["id"]
    assert page.form("ben") is None
    assert view["root_view_id"] == view["id"]
    assert view["previous_view_id"] is None
    assert view["private_metadata"] == "m"
    assert view["state"] == {"values": {"symbol": {"a": {"type": "plain_text_input", "value": None}}}}
    assert view["team_id"].startswith("T")
    assert view["app_id"].startswith("A")
    assert view["bot_id"].startswith("B")


def test_trigger_expires_after_three_seconds(slack, page, trigger):
    page.control("clock", advance_seconds=3.1)
    assert get_error(slack.views_open, trigger_id=trigger, view=build_modal()) == "expired_trigger_id"


def test_trigger_works_once(slack, trigger):
    slack.views_open(trigger_id=trigger, view=build_modal())
    assert get_error(slack.views_open, trigger_id=trigger, view=build_modal()) == "exchanged_trigger_id"


def test_unknown_trigger_is_invalid(slack):
    assert get_error(slack.views_open, trigger_id="1.2.3", view=build_modal()) == "invalid_trigger_id"


def test_invalid_view_does_not_use_up_the_trigger(slack, trigger):
    invalid = build_modal(title=build_plain_text("x" * 25))
    assert get_error(slack.views_open, trigger_id=trigger, view=invalid) == "invalid_arguments"
    assert slack.views_open(trigger_id=trigger, view=build_modal())["ok"]


def test_view_may_not_be_larger_than_250_kb(slack, trigger):
    large = build_modal(*[build_section("é" * 2_900)] * 50)
    assert get_error(slack.views_open, trigger_id=trigger, view=large) == "view_too_large"


def test_update_needs_the_latest_hash(slack, trigger):
    view = slack.views_open(trigger_id=trigger, view=build_modal())["view"]
    second = slack.views_update(view_id=view["id"], hash=view["hash"], view=build_modal())["view"]
    assert second["hash"] != view["hash"]
    error = get_error(slack.views_update, view_id=view["id"], hash=view["hash"], view=build_modal())
    assert error == "hash_conflict"
    assert slack.views_update(view_id=view["id"], view=build_modal())["ok"]


def test_update_of_a_closed_view_is_not_found(slack, page, trigger):
    view = slack.views_open(trigger_id=trigger, view=build_modal())["view"]
    page.act("close")
    assert get_error(slack.views_update, view_id=view["id"], view=build_modal()) == "not_found"


def test_view_is_found_by_its_unique_external_id(slack, page, bot, trigger):
    slack.views_open(trigger_id=trigger, view=build_modal(external_id="mine"))
    assert slack.views_update(external_id="mine", view=build_modal(external_id="mine"))["ok"]
    other = page.trigger(bot)
    assert (
        get_error(slack.views_push, trigger_id=other, view=build_modal(external_id="mine"))
        == "duplicate_external_id"
    )


def test_entries_survive_an_update_that_keeps_the_ids(slack, page, bot, trigger):
    fields = [build_field_block("symbol", TEXT), build_field_block("side", TEXT, dispatch_action=True)]
    view = slack.views_open(trigger_id=trigger, view=build_modal(*fields))["view"]
    page.act("use", block_id="side", action_id="a", value="BUY", values={"symbol": {"a": "AAPL"}})
    redrawn = [
        build_field_block("symbol", TEXT | {"initial_value": "MSFT"}),
        build_field_block("other", TEXT | {"initial_value": "x"}),
    ]
    state = slack.views_update(view_id=view["id"], view=build_modal(*redrawn))["view"]["state"]["values"]
    assert state["symbol"]["a"]["value"] == "AAPL"
    assert state["other"]["a"]["value"] == "x"
    assert "side" not in state


def test_views_stack_up_to_three(slack, page, bot, trigger):
    first = slack.views_open(trigger_id=trigger, view=build_modal())["view"]
    second = slack.views_push(trigger_id=page.trigger(bot), view=build_modal())["view"]
    assert second["previous_view_id"] == first["id"]
    assert second["root_view_id"] == first["id"]
    slack.views_push(trigger_id=page.trigger(bot), view=build_modal())
    assert (
        get_error(slack.views_push, trigger_id=page.trigger(bot), view=build_modal()) == "push_limit_reached"
    )
    assert len(page.screen()["views"]) == 3


def test_view_is_not_pushed_without_an_open_view(slack, trigger):
    assert get_error(slack.views_push, trigger_id=trigger, view=build_modal()) == "not_found"


def test_home_tab_is_published_and_replaced(slack, page):
    home = {"type": "home", "blocks": [build_section("Your books")]}
    first = slack.views_publish(user_id=AVA, view=home)["view"]
    assert page.screen()["home"]["id"] == first["id"]
    second = slack.views_publish(user_id=AVA, view=home, hash=first["hash"])["view"]
    assert second["id"] == first["id"]
    assert second["hash"] != first["hash"]
    assert get_error(slack.views_publish, user_id=AVA, view=home, hash=first["hash"]) == "hash_conflict"
    assert get_error(slack.views_publish, user_id="U0", view=home) == "user_not_found"
    assert get_error(slack.views_publish, user_id=AVA, view=build_modal()) == "invalid_arguments"


@pytest.mark.parametrize("missing", ["view", "trigger_id"])
def test_missing_argument_is_refused(slack, trigger, missing):
    arguments = {"view": build_modal(), "trigger_id": trigger}
    del arguments[missing]
    assert get_error(slack.api_call, "views.open", json=arguments) == "invalid_arguments"
