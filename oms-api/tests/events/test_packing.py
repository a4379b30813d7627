"""Events of one object at one instant share a row; their numbers sort as they happened."""

from hypothesis import given
from hypothesis import strategies as st

from app.events.rules import (
    MAX_EVENTS_IN_ROW,
    NewEvent,
    get_event_number,
    get_row_id,
    is_requested,
    pack_outbox_events,
    unpack_outbox_events,
)
from app.timestamps import Timestamp

EVENTS = st.lists(
    st.builds(
        NewEvent,
        st.integers(1, 2),
        st.sampled_from(["order.filled", "trade.recorded"]),
        st.sampled_from(['{"a":"b c"}', "{}"]),
        st.sampled_from(["noon", "night"]),
        st.sampled_from(["O1", "O2"]),
    ),
    max_size=60,
)


@given(EVENTS)
def test_packing_keeps_every_event_and_its_sequence(events):
    rows = pack_outbox_events(events)
    unpacked = [
        (row.tenant_id, row.created_at, *event)
        for row in rows
        for event in unpack_outbox_events(row.type, row.payload, row.following)
    ]
    assert unpacked == [(event.tenant_id, event.created_at, event.type, event.payload) for event in events]
    assert all(
        len(list(unpack_outbox_events(row.type, row.payload, row.following))) <= MAX_EVENTS_IN_ROW
        for row in rows
    )


def test_events_of_one_object_and_instant_share_a_row():
    alike = [NewEvent(1, "order.filled", "{}", Timestamp("noon"), "O1")] * (MAX_EVENTS_IN_ROW + 1)
    assert len(pack_outbox_events(alike)) == 2
    assert len(pack_outbox_events([alike[0], alike[0]._replace(subject="O2")])) == 2


def test_event_numbers_sort_by_row_and_index():
    numbers = [get_event_number(row, index) for row in (1, 2) for index in range(MAX_EVENTS_IN_ROW)]
    assert numbers == sorted(set(numbers))
    assert [get_row_id(number) for number in numbers] == [1] * MAX_EVENTS_IN_ROW + [2] * MAX_EVENTS_IN_ROW


def test_types_are_requested_by_name_or_by_family():
    assert is_requested("order.filled", None)
    assert is_requested("order.filled", ("order.filled",))
    assert is_requested("order.filled", ("order.*",))
    assert not is_requested("order.filled", ("orders.*", "order.fill"))
