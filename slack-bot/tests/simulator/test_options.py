import pytest

from tests.simulator.doubles import build_field_block, build_option, build_plain_text

EXTERNAL = build_field_block("portfolio", {"type": "external_select", "min_query_length": 0})


def test_options_of_the_bot_can_be_chosen(page, bot, open_form):
    view = open_form(EXTERNAL)
    bot.queue_response({"options": [build_option("Growth")]})
    assert page.act("options", block_id="portfolio", action_id="a", query="gr")["options"] == [
        build_option("Growth")
    ]
    fields = bot.last.fields
    assert fields["type"] == "block_suggestion"
    assert fields["value"] == "gr"
    assert fields["block_id"] == "portfolio"
    assert fields["action_id"] == "a"
    assert fields["view"]["id"] == view["id"]
    assert fields["container"] == {"type": "view", "view_id": view["id"]}
    page.act("submit", values={"portfolio": {"a": "Growth"}})
    assert bot.last.fields["view"]["state"]["values"]["portfolio"]["a"]["selected_option"] == build_option(
        "Growth"
    )


@pytest.mark.parametrize("response", [{"options": [build_option("x" * 151)]}, {"rows": []}, b"no"])
def test_invalid_options_are_dropped(page, bot, open_form, response):
    open_form(EXTERNAL)
    bot.queue_response(response)
    outcome = page.act("options", block_id="portfolio", action_id="a")
    assert outcome["options"] == []
    assert outcome["problem"]


def test_options_in_groups_can_be_chosen(page, bot, open_form):
    open_form(EXTERNAL)
    bot.queue_response(
        {"option_groups": [{"label": build_plain_text("Mine"), "options": [build_option("Growth")]}]}
    )
    assert page.act("options", block_id="portfolio", action_id="a")["groups"][0]["options"] == [
        build_option("Growth")
    ]
    assert page.act("submit", values={"portfolio": {"a": "Growth"}})["outcome"] == "closed"


def test_only_external_selects_request_options(page, open_form):
    open_form()
    assert page.post("/control/options", user="ava", block_id="symbol", action_id="a")[0] == 422
