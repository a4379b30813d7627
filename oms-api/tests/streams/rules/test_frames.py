"""The frames that are sent, without I/O."""

import json

from app.streams.rules.frames import build_event_frame, build_item_frame, build_system_frame


def test_event_has_its_id_and_data():
    frame = json.loads(build_event_frame("orders", "x1", "order.filled", "2026-11-20T15:04:05Z", '{"a":"é"}'))
    assert frame["channel"] == "orders"
    assert frame["id"] == "x1"
    assert frame["type"] == "order.filled"
    assert frame["data"] == {"a": "é"}


def test_names_with_quotation_marks_are_escaped():
    names = ('say "x"', "back\\slash", 'type "t"')
    frame = json.loads(build_event_frame(*names, "2026-11-20T15:04:05Z", "1"))
    assert (frame["channel"], frame["id"], frame["type"]) == names
    assert json.loads(build_item_frame('a "kind"', []))["channel"] == 'a "kind"'


def test_one_item_is_data_of_its_channel_and_several_are_items():
    frame = json.loads(build_item_frame("quotes", [("AAPL", '{"bid":"1"}')]))
    assert frame == {"channel": "quotes:AAPL", "id": None, "data": {"bid": "1"}}
    pnl_frame = json.loads(build_item_frame("pnl", [('My "best"', "1"), ("Growth", "2")]))
    assert pnl_frame == {"channel": "pnl", "id": None, "items": [1, 2]}


def test_system_frame_has_the_position():
    assert json.loads(build_system_frame({"type": "subscribed"}, "x")) == {
        "channel": "system",
        "id": "x",
        "data": {"type": "subscribed"},
    }
