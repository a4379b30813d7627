"""The changes of an order, packed into a row for each transaction."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.orders.rules.rows import MOVE_COLUMNS, Move, pack_moves, unpack_moves
from app.timestamps import Timestamp

TEXTS = st.none() | st.text(max_size=5)
CHANGES = st.lists(
    st.tuples(st.sampled_from("ABC"), st.sampled_from(["HELD", "FILLED"]), *[TEXTS] * 4), max_size=12
)


def moves_of(changes):
    """Return changes of orders, each from the status that its order has."""
    statuses: dict[str, str] = {}
    counts: dict[str, int] = {}
    moves = []
    for order_id, status, *facts in changes:
        counts[order_id] = counts.get(order_id, 0) + 1
        before = statuses.get(order_id)
        moves.append(Move(1, order_id, counts[order_id], before, status, Timestamp("now"), "me", *facts))
        statuses[order_id] = status
    return moves


@given(CHANGES)
def test_packed_row_of_each_order_restores_all_its_changes(changes):
    moves = moves_of(changes)
    rows = pack_moves(moves)
    assert len(rows) == len({move.order_id for move in moves})
    assert all(len(row) == len(MOVE_COLUMNS) for row in rows)
    unpacked = [move for row in rows for move in unpack_moves(row)]
    assert unpacked == sorted(moves, key=lambda one: [row[1] for row in rows].index(one.order_id))


@pytest.mark.parametrize("following", ["no JSON", "[1]", '[{"status": "HELD"}]', "7"])
def test_invalid_packed_changes_are_rejected(following):
    (row,) = pack_moves(moves_of([("A", "HELD", None, None, None, None)]))
    with pytest.raises((TypeError, ValueError)):
        unpack_moves((*row[:-1], following))
