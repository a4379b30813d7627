"""Equal messages of a hook are recognized, and templates read their fields."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.signals.rules.replays import build_named_id, build_period_ids, hash_body, is_replay
from app.signals.rules.templates import find_template_problem, map_fields, parse_text
from tests.factories import NOON

BODY = hash_body(b"buy AAPL 10")


@given(st.integers(0, 3 * 24 * 60))
def test_repeat_within_a_day_has_an_id_in_common_and_later_ones_have_none(minutes):
    later = NOON + timedelta(minutes=minutes)
    first = build_period_ids("sh_1", BODY, NOON)[0]
    is_found = first in build_period_ids("sh_1", BODY, later)
    assert is_replay(NOON, later) == (minutes < 24 * 60)
    assert is_found or not is_replay(NOON, later)
    assert first != build_period_ids("sh_1", BODY, NOON + timedelta(hours=24))[0]


def test_ids_of_hooks_and_messages_differ():
    assert build_named_id("sh_1", "a") != build_named_id("sh_2", "a")
    assert build_period_ids("sh_1", BODY, NOON) != build_period_ids("sh_2", BODY, NOON)
    assert build_period_ids("sh_1", BODY, NOON) != build_period_ids("sh_1", hash_body(b"other"), NOON)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("buy AAPL at 175", {"side": "buy", "symbol": "AAPL", "price": "175"}),
        (" BUY\tAAPL  AT 175\n", {"side": "BUY", "symbol": "AAPL", "price": "175"}),
        ("buy AAPL for 175", None),
        ("buy AAPL at", None),
        ("", None),
    ],
)
def test_template_extracts_fields_from_a_text(text, values):
    assert parse_text("{side} {symbol} at {price}", text) == values


@pytest.mark.parametrize("template", ["buy now", "{symbol} {symbol}", "{token}", "", "{}"])
def test_template_without_known_fields_has_a_problem(template):
    assert find_template_problem(template) is not None
    assert find_template_problem("{symbol} now") is None


def test_paths_find_nested_fields_and_leave_missing_ones_out():
    payload = {"a": {"b": "AAPL"}, "c": 5, "d": "text", "e": None}
    paths = {"symbol": "a.b", "qty": "c", "side": "d.e", "price": "x", "reason": "e"}
    assert map_fields(paths, payload) == {"symbol": "AAPL", "qty": 5}
