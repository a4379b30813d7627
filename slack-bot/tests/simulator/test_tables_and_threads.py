"""Data tables, mentions, threads and the home tab."""

import copy

import pytest

from simulator.blockkit import surfaces

CELL = {"type": "raw_text", "text": "AAPL"}
TABLE = {
    "type": "data_table",
    "caption": "Positions",
    "page_size": 100,
    "rows": [[CELL, CELL], [CELL, {"type": "raw_number", "value": 1.5, "text": "1.50"}]],
}


def build_table(**changes):
    return copy.deepcopy(TABLE) | changes


def test_table_is_valid_in_messages_and_home_tabs_and_not_in_forms():
    assert surfaces.check_message([build_table(), build_table()]) == []
    assert surfaces.check_view({"type": "home", "blocks": [build_table()]}, "home") == []
    modal = {"type": "modal", "title": {"type": "plain_text", "text": "T"}, "blocks": [build_table()]}
    assert "unsupported type: data_table" in surfaces.check_view(modal)[0]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"rows": [[CELL]]}, "rows"),
        ({"rows": [[CELL, CELL], [CELL]]}, "same number of cells"),
        ({"rows": [[{"type": "rich_text", "elements": []}], [CELL]]}, "rich_text is not supported"),
        ({"rows": [[CELL]] * 202}, "rows"),
        ({"rows": [[CELL] * 21] * 2}, "rows/0"),
        ({"rows": [[{"type": "button"}]] * 2}, "must be one of"),
        ({"page_size": 101}, "page_size"),
        (
            {
                "rows": [[CELL], [{"type": "raw_text", "text": "x" * 2_999}]]
                + [[CELL | {"text": "y" * 2_999}]] * 7
            },
            "20000",
        ),
        ({"caption": ""}, "caption"),
    ],
)
def test_invalid_tables_are_refused(changes, problem):
    assert problem in "\n".join(surfaces.check_message([build_table(**changes)]))


def test_text_of_tables_does_not_count_towards_the_text_of_blocks():
    rows = [[CELL], *([CELL | {"text": "x" * 150}] for _ in range(100))]
    assert surfaces.text_length([build_table(rows=rows)]) == 0


LINE = {
    "type": "line",
    "series": [{"name": "Equity", "data": [{"label": "a", "value": 1.5}, {"label": "b", "value": 2}]}],
    "axis_config": {"categories": ["a", "b"]},
}
PIE = {"type": "pie", "segments": [{"label": "AAPL", "value": 1}]}


@pytest.mark.parametrize("chart", [LINE, LINE | {"type": "bar"}, PIE])
def test_charts_are_valid_in_messages_and_not_in_forms(chart):
    block = {"type": "data_visualization", "title": "T", "chart": chart}
    assert surfaces.check_message([block, block]) == []
    assert "no more than 2 charts" in surfaces.check_message([block] * 3)[0]
    modal = {"type": "modal", "title": {"type": "plain_text", "text": "T"}, "blocks": [block]}
    assert "unsupported type: data_visualization" in surfaces.check_view(modal)[0]


@pytest.mark.parametrize(
    "chart", [{}, PIE | {"segments": []}, LINE | {"series": []}, LINE | {"type": "radar"}]
)
def test_invalid_charts_are_refused(chart):
    assert surfaces.check_message([{"type": "data_visualization", "title": "T", "chart": chart}])


def test_mention_of_any_case_reaches_the_bot_and_none_in_a_direct_message(page, bot):
    page.send_text("@SlackOMS positions")
    event = bot.wait_for(1)[-1].fields["event"]
    assert event["type"] == "app_mention"
    assert event["text"].partition("> ")[2] == "positions"
    page.send_text("@SlackOMS orders", channel="dm")
    event = bot.wait_for(2)[-1].fields["event"]
    assert event["type"] == "message"
    assert event["channel_type"] == "im"


def test_reply_is_in_its_thread_and_commands_are_refused_there(page, bot):
    root = page.send_text("Prices?")["ts"]
    page.act("say", channel="trading", text="@slackoms quote AAPL", thread_ts=root)
    assert bot.wait_for(1)[-1].fields["event"]["thread_ts"] == root
    refused = page.act("say", channel="trading", text="/trade", thread_ts=root)
    assert refused["error"] == "not_in_threads"
    assert page.messages()[1]["thread_ts"] == root


def test_private_reply_appears_in_its_thread(slack, page):
    root = page.send_text("Prices?")["ts"]
    slack.chat_postEphemeral(channel="C0TRADING01", user="U0AVACHEN01", text="101", thread_ts=root)
    assert page.messages()[-1]["thread_ts"] == root
