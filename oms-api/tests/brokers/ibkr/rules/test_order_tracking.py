"""Reports of TWS become events, each once, whatever their order."""

from datetime import timedelta
from decimal import Decimal

import pytest

from app.brokers.ibkr.rules.order_tracking import IbkrOrderTracker
from app.brokers.ibkr.rules.reports import ChargeReport, IbkrFillReport, StatusReport
from app.brokers.ibkr.rules.tracked_order import MAX_READINGS_WITHOUT_FILLS, ReplacementChain
from app.brokers.rules.values import Canceled, UnfilledCanceled
from tests.brokers.ibkr.messages import CLIENT_ID, TEN, report_open_order
from tests.brokers.market import NOON, format_events, parse_order_text


def report_status(name, filled="0", perm_id=100, client_id=CLIENT_ID, venue_id=1):
    return StatusReport(venue_id, client_id, perm_id, name, Decimal(filled))


def report_fill(execution_id="x.01", quantity="10", ref="A", **changes):
    fill_report = IbkrFillReport(execution_id, 1, CLIENT_ID, 100, ref, Decimal(quantity), Decimal(95), NOON)
    return fill_report._replace(**changes)


@pytest.fixture
def tracker():
    return IbkrOrderTracker(CLIENT_ID)


@pytest.fixture
def working_order(tracker):
    tracked = tracker.register("A", 1)
    assert format_events(tracker.apply_order(report_open_order(), NOON)) == ["A accepted"]
    return tracked


def test_repeated_reports_change_nothing(tracker, working_order):
    assert tracker.apply_order(report_open_order(), NOON) == []
    assert tracker.apply_status(report_status("PreSubmitted"), NOON) == []
    assert not working_order.is_closed


def test_fill_before_its_order_accepts_it(tracker):
    assert format_events(tracker.apply_fill(report_fill(), NOON)) == ["A accepted", "A 10 @ 95"]
    assert tracker.apply_fill(report_fill(), NOON) == []
    assert tracker.find("A").build_state("A", 1, NOON) is None  # only its executions are known


def test_status_of_an_unknown_order_is_left_for_its_report(tracker):
    assert tracker.apply_status(report_status("Submitted"), NOON) == []


def test_filled_order_may_wait_for_its_fills(tracker, working_order):
    tracker.apply_status(report_status("Filled", "10"), NOON)
    assert working_order.is_closed
    assert working_order.has_missing_fills
    tracker.apply_fill(report_fill(), NOON)
    assert not working_order.has_missing_fills
    assert tracker.apply_status(report_status("Submitted"), NOON) == []


def test_order_that_was_filled_before_its_report_is_closed(tracker):
    tracker.register("A", 1)
    tracker.apply_status(report_status("Filled", "10"), NOON)
    assert tracker.find("A").filled == TEN


@pytest.mark.parametrize(("requested", "expected"), [(True, "A canceled"), (False, "A unfilled canceled")])
def test_end_is_a_cancel_only_on_request(tracker, working_order, requested, expected):
    working_order.is_cancel_requested = requested
    assert format_events(tracker.apply_status(report_status("Cancelled"), NOON)) == [expected]
    assert tracker.apply_message(1, 202, "Order Canceled - reason:", NOON) == []


def test_message_of_a_cancellation_ends_the_order_with_its_reason(tracker, working_order):
    assert tracker.apply_message(1, 202, "Order Canceled - reason:No margin", NOON) == []
    (event,) = tracker.apply_status(report_status("Cancelled"), NOON)
    assert event.reason == "No margin"
    assert working_order.build_state("A", 1, NOON).end is not None


def test_message_without_a_status_ends_the_order_after_its_executions_were_read(tracker, working_order):
    assert tracker.apply_message(1, 202, "Order Canceled - reason:", NOON) == []
    assert working_order.build_state("A", 1, NOON).is_open
    assert format_events(tracker.note_reading(tracker.orders_with_held_end, NOON)) == ["A unfilled canceled"]
    assert tracker.orders_with_held_end == tracker.note_reading([working_order], NOON) == []


def test_end_waits_for_the_execution_that_it_crossed(tracker, working_order):
    working_order.is_cancel_requested = True
    assert tracker.apply_status(report_status("Cancelled", "4"), NOON) == []
    assert tracker.apply_message(1, 202, "Order Canceled - reason:", NOON) == []
    assert tracker.apply_message(1, 10148, "It cannot be cancelled, state: Cancelled.", NOON) == []
    assert working_order.is_cancel_confirmed
    assert tracker.note_reading(tracker.orders_with_held_end, NOON) == []
    assert format_events(tracker.apply_fill(report_fill(quantity="4"), NOON)) == ["A 4 @ 95", "A canceled"]
    assert tracker.orders_with_held_end == []


def test_end_does_not_wait_for_executions_that_tws_does_not_list(tracker, working_order):
    tracker.apply_status(report_status("Cancelled", "4"), NOON)
    for _ in range(MAX_READINGS_WITHOUT_FILLS - 1):
        assert tracker.note_reading(tracker.orders_with_held_end, NOON) == []
    assert format_events(tracker.note_reading(tracker.orders_with_held_end, NOON)) == ["A unfilled canceled"]
    assert format_events(tracker.apply_fill(report_fill(quantity="4"), NOON)) == ["A 4 @ 95"]


def test_end_that_waits_refuses_the_pending_replacement_afterwards(tracker, working_order):
    working_order.pending = parse_order_text("BUY 10 LIMIT limit 96", "B")
    assert tracker.apply_status(report_status("Cancelled", "4"), NOON) == []
    events = tracker.apply_fill(report_fill(quantity="4"), NOON)
    assert format_events(events) == ["A 4 @ 95", "A unfilled canceled", "A cancel rejected"]


def test_order_that_fills_although_its_cancel_was_reported_has_filled(tracker, working_order):
    tracker.apply_status(report_status("Cancelled", "4"), NOON)
    assert tracker.apply_status(report_status("Filled", "10"), NOON) == []
    assert (working_order.is_closed, tracker.orders_with_held_end, working_order.end) == (True, [], None)


def test_end_that_waits_for_fills_is_forgotten_with_its_order(tracker, working_order):
    tracker.apply_status(report_status("Cancelled", "4"), NOON)
    assert format_events(tracker.lapse_order("A", NOON)) == ["A unfilled canceled"]
    assert tracker.orders_with_held_end == []


def test_pending_cancel_confirms_the_request(tracker, working_order):
    working_order.is_cancel_requested = True
    assert tracker.apply_status(report_status("PendingCancel"), NOON) == []
    assert working_order.is_cancel_confirmed


def test_refused_cancel_leaves_the_order(tracker, working_order):
    working_order.is_cancel_requested = True
    assert format_events(tracker.apply_message(1, 161, "Too late", NOON)) == ["A cancel rejected"]
    assert tracker.apply_message(1, 161, "Too late", NOON) == []


def test_inactive_order_is_rejected(tracker):
    tracker.register("A", 1)
    (event,) = tracker.apply_order(report_open_order("Inactive"), NOON)
    assert event.reason == "IBKR rejected the order."


def test_inactive_order_that_was_accepted_has_lapsed(tracker, working_order):
    assert format_events(tracker.apply_status(report_status("Inactive"), NOON)) == ["A unfilled canceled"]


def test_message_rejects_an_order_that_was_not_accepted(tracker):
    tracker.register("A", 1)
    assert tracker.apply_message(1, 399, "Held until the open", NOON) == []
    (event,) = tracker.apply_message(1, 201, "Order rejected - reason:No margin", NOON)
    assert event.reason == "No margin"
    assert tracker.apply_message(2, 201, "unknown order", NOON) == []


def test_order_that_arrives_after_its_pair_has_filled_has_lapsed(tracker):
    tracker.register("A", 1)
    (event,) = tracker.apply_message(1, 201, "Order rejected - reason:OCA group is already filled.", NOON)
    assert event == UnfilledCanceled("A", "The other order of the pair has filled.", NOON)
    assert tracker.apply_order(report_open_order("Inactive"), NOON) == []
    assert tracker.find("A").build_state("A", 1, NOON).end == Canceled("A", NOON)


def test_order_that_is_not_sent_is_rejected_once(tracker, working_order):
    assert format_events(tracker.reject("B", "No", NOON)) == ["B rejected"]
    assert tracker.reject("B", "No", NOON) == tracker.reject("A", "No", NOON) == []


def test_order_that_could_not_be_sent_is_dropped(tracker):
    tracker.untrack(tracker.register("A", 1))
    assert tracker.find("A") is None


def test_replacement_is_confirmed_by_its_terms(tracker, working_order):
    working_order.pending = parse_order_text("BUY 10 LIMIT limit 96", "B")
    assert tracker.apply_order(report_open_order(), NOON) == []
    changed = report_open_order(limit_price=Decimal(96))
    assert format_events(tracker.apply_order(changed, NOON)) == ["A replaced"]
    state = working_order.build_state("A", 1, NOON)
    assert (state.is_open, state.end.successor_id) == (False, "B")
    assert format_events(tracker.apply_fill(report_fill(), NOON)) == ["B 10 @ 95"]
    assert tracker.find("B") is working_order


@pytest.mark.parametrize(
    ("group", "changes", "expected"),
    [
        ("G", {"quantity": Decimal(6), "limit_price": Decimal(96)}, ["A replaced"]),
        ("G", {"quantity": Decimal(6)}, []),  # reduced before the change
        ("G", {"quantity": Decimal(12), "limit_price": Decimal(96)}, []),
        (None, {"quantity": Decimal(6), "limit_price": Decimal(96)}, []),  # a person changed it
    ],
)
def test_replacement_of_a_group_is_confirmed_with_a_reduced_quantity(
    tracker, working_order, group, changes, expected
):
    working_order.pending = parse_order_text("BUY 10 LIMIT limit 96", "B")._replace(group=group)
    events = tracker.apply_order(report_open_order(**changes), NOON)
    assert format_events(events) == expected
    assert [event.quantity for event in events] == [Decimal(6) for _ in expected]


def test_replacement_of_an_earlier_process_is_confirmed_by_the_first_report(tracker):
    successor = parse_order_text("BUY 10 LIMIT limit 96", "B")._replace(group="G")
    tracker.add_chains([ReplacementChain(("A",), successor)])
    changed = report_open_order(quantity=Decimal(6), limit_price=Decimal(96))
    assert format_events(tracker.apply_order(changed, NOON))[0] == "A replaced"


def test_fill_that_ends_the_order_refuses_its_replacement(tracker, working_order):
    working_order.pending = parse_order_text("BUY 10 LIMIT limit 96", "B")
    assert format_events(tracker.apply_status(report_status("Filled", "10"), NOON)) == ["A cancel rejected"]


def test_order_of_another_process_has_its_replacements(tracker):
    tracker.add_chains([ReplacementChain(("A", "B"))])
    assert format_events(tracker.apply_order(report_open_order(), NOON)) == ["B accepted"]
    assert [order.order_id for order in tracker.orders] == ["B"]


def test_orders_without_our_reference_are_reported_under_an_id_of_ibkr(tracker):
    events = tracker.apply_order(report_open_order(ref="", venue_id=5, client_id=0, perm_id=9), NOON)
    assert format_events(events) == ["ib-9 accepted"]
    assert tracker.find("ib-9").venue_id == 0
    canceled = tracker.apply_status(report_status("Cancelled", perm_id=9, client_id=0), NOON)
    assert format_events(canceled) == ["ib-9 unfilled canceled"]


def test_order_without_a_number_is_found_by_its_reference(tracker):
    tracker.apply_order(report_open_order(venue_id=0, perm_id=0), NOON)
    tracker.apply_order(report_open_order("Cancelled", venue_id=0, filled=Decimal(4)), NOON)
    tracked = tracker.find("A")
    assert (tracked.filled, tracked.is_ending) == (4, True)


def test_correction_replaces_the_execution(tracker, working_order):
    tracker.apply_fill(report_fill(), NOON)
    events = tracker.apply_fill(report_fill("x.02", price=Decimal(94)), NOON)
    assert format_events(events) == ["A busted", "A 10 @ 94"]
    assert format_events(tracker.apply_fill(report_fill("x.03", "0"), NOON)) == ["A busted"]
    assert working_order.list_executions() == []


def test_correction_as_first_report_busts_earlier_executions(tracker, working_order):
    events = tracker.apply_fill(report_fill("x.03"), NOON)
    assert format_events(events) == ["A busted", "A busted", "A 10 @ 95"]
    assert [event.execution_id for event in events] == ["x.01", "x.02", "x.03"]


def test_charge_is_reported_once_and_after_its_execution(tracker, working_order):
    charge = ChargeReport("x.01", Decimal("1.25"), "USD")
    assert tracker.apply_charge(charge, NOON) == []
    assert format_events(tracker.apply_fill(report_fill(), NOON)) == ["A 10 @ 95", "A charged"]
    assert tracker.apply_charge(charge, NOON) == []


def test_charges_of_corrected_executions_are_not_listed(tracker, working_order):
    tracker.apply_fill(report_fill(), NOON)
    (charged,) = tracker.apply_charge(ChargeReport("x.01", Decimal("1.25"), "USD"), NOON)
    assert working_order.list_charges() == [charged]
    tracker.apply_fill(report_fill("x.02", quantity="4"), NOON)
    assert working_order.list_charges() == []
    (corrected,) = tracker.apply_charge(ChargeReport("x.02", Decimal("0.50"), "USD"), NOON)
    assert working_order.list_charges() == [corrected]
    tracker.apply_fill(report_fill("x.03", quantity="0"), NOON)
    assert working_order.list_charges() == []


def test_order_that_is_absent_lapses(tracker, working_order):
    assert tracker.list_absent([100]) == []
    assert tracker.list_absent([]) == ["A"]
    assert format_events(tracker.lapse_order("A", NOON)) == ["A unfilled canceled"]
    assert tracker.lapse_order("A", NOON + timedelta(seconds=1)) == []
    assert format_events(tracker.lapse_order("never reported", NOON)) == ["never reported unfilled canceled"]
    assert tracker.list_absent([]) == []


def test_executions_are_listed_by_order(tracker, working_order):
    tracker.apply_fill(report_fill(), NOON)
    assert len(working_order.list_executions("A")) == 1
    assert working_order.list_executions("B") == []


@pytest.fixture
def attached_exit(tracker, working_order):
    """Attach an exit to the order, which waits for its fill."""
    tracker.register("X", 2, parent_venue_id=1)
    assert tracker.apply_order(report_exit(), NOON) == []
    assert tracker.has_exits(working_order)
    return tracker.find("X")


def report_exit(name="PreSubmitted", **changes):
    return report_open_order(name, "X", 2, perm_id=101, parent_venue_id=1, **changes)


def test_exit_is_accepted_when_its_entry_has_filled(tracker, attached_exit):
    assert attached_exit.build_state("X", 1, NOON).is_waiting
    assert tracker.apply_status(report_status("PreSubmitted", perm_id=101, venue_id=2), NOON) == []
    tracker.apply_fill(report_fill(), NOON)
    assert format_events(tracker.apply_status(report_status("Filled", "10"), NOON)) == ["X accepted"]
    assert not attached_exit.build_state("X", 1, NOON).is_waiting


def test_exit_whose_entry_ended_after_a_part_is_decided_by_its_next_report(tracker, attached_exit):
    assert not tracker.has_undecided_exits
    tracker.apply_status(report_status("Cancelled", "4"), NOON)
    assert not tracker.has_undecided_exits  # the entry's fill is awaited
    tracker.apply_fill(report_fill(quantity="4"), NOON)
    assert tracker.has_undecided_exits
    assert format_events(tracker.apply_order(report_exit(), NOON)) == ["X accepted"]
    assert not tracker.has_undecided_exits


def test_exit_that_ends_with_its_entry_never_worked(tracker, attached_exit):
    tracker.apply_status(report_status("Cancelled"), NOON)
    assert format_events(tracker.apply_status(report_status("Cancelled", perm_id=101, venue_id=2), NOON)) == [
        "X unfilled canceled"
    ]
    assert not tracker.has_undecided_exits


def test_exit_that_is_open_without_its_entry_works_after_a_restart(tracker):
    assert tracker.apply_order(report_exit(), NOON) == []
    assert tracker.accept_waiting_exits([1, 2], NOON) == []
    assert format_events(tracker.accept_waiting_exits([2], NOON)) == ["X accepted"]
