"""The changes of an order, packed into a row for each transaction."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.orders.rules.rows import (
    EVENT_COLUMNS,
    ExecutionKey,
    ExecutionRow,
    OrderEvent,
    pack_order_history,
    unpack_order_history,
)
from app.timestamps import Timestamp

TEXTS = st.none() | st.text(max_size=5)
CHANGES = st.lists(
    st.tuples(st.sampled_from("ABC"), st.sampled_from(["HELD", "FILLED"]), *[TEXTS] * 4), max_size=12
)


def build_history(changes):
    """Return changes of orders, each from the status that its order has."""
    statuses: dict[str, str] = {}
    counts: dict[str, int] = {}
    history = []
    for order_id, status, *moments in changes:
        counts[order_id] = counts.get(order_id, 0) + 1
        before = statuses.get(order_id)
        history.append(
            OrderEvent(1, order_id, counts[order_id], before, status, Timestamp("now"), "me", *moments)
        )
        statuses[order_id] = status
    return history


@given(CHANGES)
def test_packed_row_of_each_order_restores_all_its_changes(changes):
    history = build_history(changes)
    rows = pack_order_history(history)
    assert len(rows) == len({event.order_id for event in history})
    assert all(len(row) == len(EVENT_COLUMNS) for row in rows)
    unpacked = [event for row in rows for event in unpack_order_history(row)]
    assert unpacked == sorted(history, key=lambda event: [row[1] for row in rows].index(event.order_id))


@pytest.mark.parametrize("following", ["no JSON", "[1]", '[{"status": "HELD"}]', "7"])
def test_invalid_packed_changes_are_rejected(following):
    (row,) = pack_order_history(build_history([("A", "HELD", None, None, None, None)]))
    with pytest.raises((TypeError, ValueError)):
        unpack_order_history((*row[:-1], following))


def test_execution_is_identified_by_tenant_broker_and_id():
    terms = ("O1", 7, "AAPL", "BUY", "10", "99", "990", "T1", None, Timestamp("now"))
    execution = ExecutionRow(1, "alpaca", "X1", *terms)
    assert execution.key == ExecutionKey(1, "alpaca", "X1")
