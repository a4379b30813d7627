"""Reports that arrive twice, late and out of order become each event exactly once."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.brokers.rules.order_reports import OrderUpdate
from app.brokers.rules.order_tracking import MAX_READINGS_WITHOUT_FILLS, OrderTracker, build_end
from app.brokers.rules.values import Accepted, Canceled, Executed
from tests.brokers.market import format_events
from tests.brokers.order_reports import NOW, build_fill, build_report


def update_tracker(event, order, execution=None, previous=None, reason=None):
    return OrderUpdate(event, order, execution, previous, reason, NOW)


LIFE = [
    update_tracker("new", build_report()),
    update_tracker("partial_fill", build_report("partially_filled", "4"), build_fill("E1", "4")),
    update_tracker("partial_fill", build_report("partially_filled", "7"), build_fill("E2", "3")),
    update_tracker("fill", build_report("filled", "10"), build_fill("E3", "3")),
]


@given(st.lists(st.sampled_from(LIFE), max_size=8), st.permutations(LIFE))
def test_every_order_of_arrival_gives_each_event_once(repeated, shuffled):
    tracker: Any = OrderTracker()
    events = [event for report in [*repeated, *shuffled, *repeated] for event in tracker.apply_update(report)]
    assert sum(isinstance(event, Accepted) for event in events) == 1
    assert isinstance(events[0], Accepted)
    executions = [event for event in events if isinstance(event, Executed)]
    assert sorted(event.execution_id for event in executions) == ["E1", "E2", "E3"]
    assert len(events) == 4
    assert not tracker.list_incomplete()


def test_late_report_does_not_replace_a_newer_one():
    tracker: Any = OrderTracker()
    tracker.apply_report(build_report("partially_filled", "4", changed_at=NOW + timedelta(seconds=5)))
    tracker.apply_report(build_report())
    assert tracker.find("A").report.status == "partially_filled"


def test_listed_fill_is_applied_once_the_order_has_its_quantity():
    tracker: Any = OrderTracker()
    assert tracker.apply_reading([build_report("pending_new")], [build_fill("E1", "4")]) == []
    events = tracker.apply_reading([build_report("pending_new", "4")], [build_fill("E1", "4")])
    assert format_events(events) == ["A accepted", "A 4 @ 95"]
    assert tracker.apply_report(build_report("new", "4")) == []


def test_listed_fill_of_an_unknown_order_is_left():
    tracker: Any = OrderTracker()
    assert tracker.apply_listed_fills([build_fill("E1", "4", "unknown")]) == []


def test_reading_reports_fills_before_the_end():
    tracker: Any = OrderTracker()
    events = tracker.apply_reading([build_report("canceled", "4")], [build_fill("E1", "4")])
    assert format_events(events) == ["A accepted", "A 4 @ 95", "A unfilled canceled"]
    assert tracker.apply_reading([build_report("canceled", "4")], [build_fill("E1", "4")]) == []


def test_end_waits_for_a_fill_of_the_stream():
    tracker: Any = OrderTracker()
    tracker.apply_update(update_tracker("new", build_report()))
    end = build_report("canceled", "4", changed_at=NOW + timedelta(seconds=2))
    assert tracker.apply_update(update_tracker("canceled", end, reason="too late")) == []
    late = update_tracker("partial_fill", build_report("partially_filled", "4"), build_fill("E1", "4"))
    executed, lapsed = tracker.apply_update(late)
    assert format_events([executed, lapsed]) == ["A 4 @ 95", "A unfilled canceled"]
    assert lapsed.reason == "too late"
    assert tracker.apply_update(update_tracker("canceled", end)) == []


def test_end_does_not_wait_for_ever_for_fills_that_no_reading_lists():
    tracker: Any = OrderTracker()
    tracker.apply_report(build_report())
    readings = [
        tracker.apply_reading([build_report("expired", "4")], []) for _ in range(MAX_READINGS_WITHOUT_FILLS)
    ]
    assert not any(readings[:-1])
    assert format_events(readings[-1]) == ["A expired"]


def test_rejection_after_a_partial_fill_cancels_the_remainder():
    tracker: Any = OrderTracker()
    tracker.apply_report(build_report())
    rejected = build_report("rejected", "4", reason="No margin")
    assert tracker.apply_report(rejected) == []
    (execution, end) = tracker.apply_reading([rejected], [build_fill("E1", "4")])
    assert format_events([execution, end]) == ["A 4 @ 95", "A unfilled canceled"]
    assert end.reason == "No margin"
    assert build_end(rejected, None) == Canceled("A", rejected.changed_at)


def test_missing_fills_are_noticed():
    tracker: Any = OrderTracker()
    tracker.apply_update(update_tracker("fill", build_report("filled", "10"), build_fill("E2", "6")))
    assert [order.order_id for order in tracker.list_incomplete()] == ["A"]
    tracker.apply_fill(build_fill("E1", "4"))
    assert not tracker.list_incomplete()


def test_fill_of_a_foreign_order_is_ignored():
    assert OrderTracker().apply_fill(build_fill("E1", "4")) == []


def test_cancel_is_canceled_if_it_was_requested_and_lapsed_otherwise():
    tracker: Any = OrderTracker()
    tracker.track("A").is_cancel_requested = True
    tracker.apply_report(build_report())
    assert format_events(tracker.apply_report(build_report("canceled"))) == ["A canceled"]
    tracker.apply_report(build_report(order_id="B"))
    (lapsed,) = tracker.apply_report(build_report("canceled", order_id="B"), "CORPORATE_ACTION")
    assert lapsed.reason == "CORPORATE_ACTION"


def test_late_acceptance_and_end_are_ignored():
    tracker: Any = OrderTracker()
    assert format_events(tracker.apply_report(build_report("expired"))) == ["A accepted", "A expired"]
    assert tracker.apply_report(build_report()) == []
    assert tracker.reject("A", "late", NOW) == []


def test_pending_order_is_not_accepted_yet():
    tracker: Any = OrderTracker()
    assert tracker.apply_report(build_report("pending_new")) == []
    assert format_events(tracker.apply_report(build_report("rejected"))) == ["A rejected"]


def test_replacement_names_the_successor():
    tracker: Any = OrderTracker()
    tracker.apply_report(build_report())
    tracker.apply_report(build_report(order_id="B", replaces="broker-A"))
    (replaced,) = tracker.apply_report(build_report("replaced", replaced_by="broker-B"))
    assert replaced.successor_id == "B"
    unknown: Any = OrderTracker().apply_report(build_report("replaced", replaced_by="broker-C"))
    assert unknown[-1].successor_id == "broker-C"


@pytest.mark.parametrize(
    ("status", "reported"),
    [
        ("new", ["A replaced", "B 4 @ 95"]),
        ("filled", ["A replaced", "B 4 @ 95"]),
        ("canceled", ["A replaced", "B 4 @ 95", "B unfilled canceled"]),
    ],
)
@pytest.mark.parametrize("is_listed", [False, True])
def test_fill_of_a_successor_follows_its_replacement(status, reported, is_listed):
    tracker: Any = OrderTracker()
    tracker.apply_report(build_report())
    successor, fill = build_report(status, "4", "B", replaces="broker-A"), build_fill("E1", "4", "B")
    if is_listed:
        events = tracker.apply_reading([successor], [fill])
    else:
        events = tracker.apply_update(update_tracker("partial_fill", successor, fill))
    assert format_events(events) == reported
    assert events[0].successor_id == "B"
    assert tracker.apply_report(build_report("replaced", replaced_by="broker-B")) == []
    assert not tracker.find("A").held_end


def test_end_of_a_successor_follows_its_replacement():
    tracker: Any = OrderTracker()
    tracker.apply_report(build_report())
    events = tracker.apply_report(build_report("canceled", order_id="B", replaces="broker-A"))
    assert format_events(events) == ["A replaced", "B unfilled canceled"]


@pytest.mark.parametrize("event", ["order_replace_rejected", "rejected"])
def test_rejected_replacement_is_refused_once(event):
    tracker: Any = OrderTracker()
    tracker.apply_report(build_report())
    tracker.track("A").successor_id = "B"
    successor = build_report("rejected", order_id="B", replaces="broker-A")
    about = build_report() if event == "order_replace_rejected" else successor
    assert format_events(tracker.apply_update(update_tracker(event, about, reason="too late"))) == [
        "A cancel rejected"
    ]
    assert tracker.apply_update(update_tracker("order_replace_rejected", build_report())) == []
    assert tracker.apply_report(build_report("rejected", order_id="C", replaces="unknown")) == []


def test_refused_cancel_of_an_order_that_is_filled_is_not_reported():
    tracker: Any = OrderTracker()
    tracker.apply_update(LIFE[-1])
    tracker.track("A").is_cancel_requested = True
    assert tracker.apply_update(update_tracker("order_cancel_rejected", build_report("filled", "10"))) == []


def test_bust_is_applied_once():
    tracker: Any = OrderTracker()
    tracker.apply_update(LIFE[1])
    bust = update_tracker(
        "trade_bust", build_report("partially_filled"), build_fill("E1", "4"), "E1", "TRADE_BUST"
    )
    (busted,) = tracker.apply_update(bust)
    assert (busted.execution_id, busted.reason) == ("E1", "TRADE_BUST")
    assert tracker.apply_update(bust) == []
    assert tracker.apply_fill(build_fill("E1", "4")) == []  # an older page of activities still has it


@pytest.mark.parametrize("new_id", ["E1", "E9"])
def test_correction_is_a_bust_and_an_execution_of_another_id(new_id):
    tracker: Any = OrderTracker()
    tracker.apply_update(LIFE[1])
    corrected = update_tracker(
        "trade_correct", build_report("partially_filled", "3"), build_fill(new_id, "3"), "E1"
    )
    busted, executed = tracker.apply_update(corrected)
    assert format_events([busted, executed]) == ["A busted", "A 3 @ 95"]
    assert executed.execution_id != "E1"
    assert tracker.apply_update(corrected) == []


def test_bust_without_an_execution_is_ignored():
    tracker: Any = OrderTracker()
    tracker.apply_report(build_report())
    assert tracker.apply_update(update_tracker("trade_bust", build_report())) == []


def test_order_that_was_never_sent_is_dropped():
    tracker: Any = OrderTracker()
    tracker.track("A")
    tracker.untrack("A")
    tracker.untrack("unknown")
    assert tracker.find("A") is None
    tracker.apply_report(build_report())
    tracker.untrack("A")
    assert tracker.find("A") is not None
    assert tracker.find_by_broker_id("broker-A") is tracker.find("A")


def test_rejection_is_reported_once():
    tracker: Any = OrderTracker()
    assert format_events(tracker.reject("A", "no", NOW)) == ["A rejected"]
    assert tracker.reject("A", "no", NOW) == []


@pytest.mark.parametrize(
    ("status", "end"),
    [
        ("canceled", "canceled"),
        ("expired", "expired"),
        ("rejected", "rejected"),
        ("replaced", "replaced"),
        ("filled", None),
    ],
)
def test_status_shows_whether_an_order_ended(status, end):
    end_event: Any = build_end(build_report(status), "B")
    assert end_event is None if end is None else format_events([end_event]) == [f"A {end}"]
