"""The table of states: every pair of states is either a transition or refused."""

from decimal import Decimal
from pathlib import Path

import pytest

from app.orders.errors import InvalidTransition
from app.orders.rules.states import (
    TRANSITIONS,
    format_diagram,
    get_resting_status,
    get_status_after_fill,
    require_transition,
)
from app.orders.rules.values import FINAL_STATUSES, OPEN_STATUSES, Status

# The transitions, row by row; in the two pending rows, "refused → back" is spelled out.
TABLE = {
    "INITIALIZED": "AWAITING_APPROVAL HELD SUBMITTED DENIED CANCELED EXPIRED",
    "AWAITING_APPROVAL": "SUBMITTED HELD DENIED REPLACED EXPIRED CANCELED",
    "HELD": "SUBMITTED AWAITING_APPROVAL REPLACED CANCELED EXPIRED DENIED",
    "SUBMITTED": (
        "ACCEPTED TRIGGERED REJECTED PARTIALLY_FILLED FILLED CANCELED EXPIRED PENDING_CANCEL PENDING_REPLACE"
    ),
    "ACCEPTED": "TRIGGERED PARTIALLY_FILLED FILLED CANCELED EXPIRED REJECTED PENDING_CANCEL PENDING_REPLACE",
    "TRIGGERED": "PARTIALLY_FILLED FILLED CANCELED EXPIRED REJECTED PENDING_CANCEL PENDING_REPLACE",
    "PARTIALLY_FILLED": "PARTIALLY_FILLED FILLED CANCELED EXPIRED PENDING_CANCEL PENDING_REPLACE",
    "PENDING_CANCEL": "CANCELED EXPIRED REJECTED FILLED SUBMITTED ACCEPTED TRIGGERED PARTIALLY_FILLED",
    "PENDING_REPLACE": (
        "REPLACED PENDING_CANCEL CANCELED EXPIRED REJECTED FILLED SUBMITTED ACCEPTED TRIGGERED "
        "PARTIALLY_FILLED"
    ),
    "CANCELED": "FILLED",
    "EXPIRED": "FILLED",
    "REPLACED": "",
    "FILLED": "",
    "DENIED": "",
    "REJECTED": "",
}
PAIRS = [(start, end) for start in Status for end in Status]
ALLOWED = {(start, end) for start, ends in TABLE.items() for end in ends.split()}


@pytest.mark.parametrize(("start", "end"), PAIRS)
def test_every_pair_of_states_is_a_transition_or_rejected(start, end):
    if (start, end) in ALLOWED:
        assert require_transition("O1", start, end) is end
    else:
        with pytest.raises(InvalidTransition, match=f"from {start} to {end}"):
            require_transition("O1", start, end)


def test_every_state_has_a_row_in_the_table():
    assert set(TRANSITIONS) == set(Status)
    assert set(Status) == FINAL_STATUSES | OPEN_STATUSES
    assert not FINAL_STATUSES & OPEN_STATUSES


@pytest.mark.parametrize("status", sorted(OPEN_STATUSES))
def test_every_open_state_can_reach_a_final_state(status):
    assert TRANSITIONS[status] & FINAL_STATUSES


@pytest.mark.parametrize(
    ("status", "filled", "after"),
    [
        ("ACCEPTED", 4, "PARTIALLY_FILLED"),
        ("TRIGGERED", 10, "FILLED"),
        ("PARTIALLY_FILLED", 9, "PARTIALLY_FILLED"),
        ("PENDING_CANCEL", 4, "PENDING_CANCEL"),
        ("PENDING_REPLACE", 4, "PENDING_REPLACE"),
        ("PENDING_CANCEL", 10, "FILLED"),
        ("PENDING_REPLACE", 10, "FILLED"),
        ("CANCELED", 4, "CANCELED"),
        ("CANCELED", 10, "FILLED"),
        ("EXPIRED", 4, "EXPIRED"),
        ("EXPIRED", 10, "FILLED"),
        ("REPLACED", 10, "REPLACED"),
        ("REJECTED", 10, "REJECTED"),
        ("FILLED", 11, "FILLED"),
    ],
)
def test_fill_leads_to_the_expected_state(status, filled, after):
    assert get_status_after_fill(Status(status), Decimal(10), Decimal(filled)) == after


@pytest.mark.parametrize(
    ("filled", "is_triggered", "status"),
    [
        (0, False, "ACCEPTED"),
        (0, True, "TRIGGERED"),
        (1, True, "PARTIALLY_FILLED"),
        (1, False, "PARTIALLY_FILLED"),
    ],
)
def test_resting_state_without_a_pending_request(filled, is_triggered, status):
    assert get_resting_status(Decimal(filled), is_triggered=is_triggered) == status
    unaccepted = "SUBMITTED" if status == "ACCEPTED" else status
    assert get_resting_status(Decimal(filled), is_triggered=is_triggered, is_accepted=False) == unaccepted


# Where several statuses hold, FIX reports the highest of these.
FIX_PRECEDENCE = {
    "PENDING_CANCEL": 12,
    "PENDING_REPLACE": 11,
    "FILLED": 8,
    "CANCELED": 5,
    "PARTIALLY_FILLED": 4,
    "ACCEPTED": 2,
}


@pytest.mark.parametrize("status", FIX_PRECEDENCE)
def test_partially_filled_order_is_reported_by_fix_precedence(status):
    highest = max(status, "PARTIALLY_FILLED", key=FIX_PRECEDENCE.__getitem__)
    assert get_status_after_fill(Status(status), Decimal(10), Decimal(4)) == highest


def test_documented_state_diagram_matches_the_table():
    page = Path(__file__).parents[4] / "docs" / "order-states.md"
    assert format_diagram() in page.read_text()
