import pytest

from tests.simulator.doubles import AVA, field_block, modal, plain, section
from tests.simulator.test_webapi import error_of

TEXT = {"type": "plain_text_input"}


def test_form_opens_for_the_person_of_the_trigger(slack, page, trigger):
    view = slack.views_open(trigger_id=trigger, view=modal(private_metadata="m"))["view"]
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
    page.rig("clock", advance_seconds=3.1)
    assert error_of(slack.views_open, trigger_id=trigger, view=modal()) == "expired_trigger_id"


def test_trigger_works_once(slack, trigger):
    slack.views_open(trigger_id=trigger, view=modal())
    assert error_of(slack.views_open, trigger_id=trigger, view=modal()) == "exchanged_trigger_id"


def test_unknown_trigger_is_invalid(slack):
    assert error_of(slack.views_open, trigger_id="1.2.3", view=modal()) == "invalid_trigger_id"


def test_invalid_view_does_not_use_up_the_trigger(slack, trigger):
    invalid = modal(title=plain("x" * 25))
    assert error_of(slack.views_open, trigger_id=trigger, view=invalid) == "invalid_arguments"
    assert slack.views_open(trigger_id=trigger, view=modal())["ok"]


def test_view_may_not_be_larger_than_250_kb(slack, trigger):
    large = modal(*[section("é" * 2_900)] * 50)
    assert error_of(slack.views_open, trigger_id=trigger, view=large) == "view_too_large"


def test_update_needs_the_latest_hash(slack, trigger):
    view = slack.views_open(trigger_id=trigger, view=modal())["view"]
    second = slack.views_update(view_id=view["id"], hash=view["hash"], view=modal())["view"]
    assert second["hash"] != view["hash"]
    error = error_of(slack.views_update, view_id=view["id"], hash=view["hash"], view=modal())
    assert error == "hash_conflict"
    assert slack.views_update(view_id=view["id"], view=modal())["ok"]


def test_update_of_a_closed_view_is_not_found(slack, page, trigger):
    view = slack.views_open(trigger_id=trigger, view=modal())["view"]
    page.do("close")
    assert error_of(slack.views_update, view_id=view["id"], view=modal()) == "not_found"


def test_view_is_found_by_its_unique_external_id(slack, page, bot, trigger):
    slack.views_open(trigger_id=trigger, view=modal(external_id="mine"))
    assert slack.views_update(external_id="mine", view=modal(external_id="mine"))["ok"]
    other = page.trigger(bot)
    assert (
        error_of(slack.views_push, trigger_id=other, view=modal(external_id="mine"))
        == "duplicate_external_id"
    )


def test_entries_survive_an_update_that_keeps_the_ids(slack, page, bot, trigger):
    fields = [field_block("symbol", TEXT), field_block("side", TEXT, dispatch_action=True)]
    view = slack.views_open(trigger_id=trigger, view=modal(*fields))["view"]
    page.do("use", block_id="side", action_id="a", value="BUY", values={"symbol": {"a": "AAPL"}})
    redrawn = [
        field_block("symbol", TEXT | {"initial_value": "MSFT"}),
        field_block("other", TEXT | {"initial_value": "x"}),
    ]
    state = slack.views_update(view_id=view["id"], view=modal(*redrawn))["view"]["state"]["values"]
    assert state["symbol"]["a"]["value"] == "AAPL"
    assert state["other"]["a"]["value"] == "x"
    assert "side" not in state


def test_views_stack_up_to_three(slack, page, bot, trigger):
    first = slack.views_open(trigger_id=trigger, view=modal())["view"]
    second = slack.views_push(trigger_id=page.trigger(bot), view=modal())["view"]
    assert (second["previous_view_id"], second["root_view_id"]) == (first["id"], first["id"])
    slack.views_push(trigger_id=page.trigger(bot), view=modal())
    assert error_of(slack.views_push, trigger_id=page.trigger(bot), view=modal()) == "push_limit_reached"
    assert len(page.screen()["views"]) == 3


def test_view_is_not_pushed_without_an_open_view(slack, trigger):
    assert error_of(slack.views_push, trigger_id=trigger, view=modal()) == "not_found"


def test_home_tab_is_published_and_replaced(slack, page):
    home = {"type": "home", "blocks": [section("Your books")]}
    first = slack.views_publish(user_id=AVA, view=home)["view"]
    assert page.screen()["home"]["id"] == first["id"]
    second = slack.views_publish(user_id=AVA, view=home, hash=first["hash"])["view"]
    assert (second["id"], second["hash"] != first["hash"]) == (first["id"], True)
    assert error_of(slack.views_publish, user_id=AVA, view=home, hash=first["hash"]) == "hash_conflict"
    assert error_of(slack.views_publish, user_id="U0", view=home) == "user_not_found"
    assert error_of(slack.views_publish, user_id=AVA, view=modal()) == "invalid_arguments"


@pytest.mark.parametrize("missing", ["view", "trigger_id"])
def test_missing_argument_is_refused(slack, trigger, missing):
    arguments = {"view": modal(), "trigger_id": trigger}
    del arguments[missing]
    assert error_of(slack.api_call, "views.open", json=arguments) == "invalid_arguments"
