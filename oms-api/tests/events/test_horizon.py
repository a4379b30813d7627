"""Events are read only below the commit horizon, so that none is skipped."""

from hypothesis import given
from hypothesis import strategies as st

from app.events.rules import Horizon, OutboxState, advance_horizon


def list_events_after(*sightings):
    horizon = Horizon()
    for sighting in sightings:
        horizon = advance_horizon(horizon, OutboxState(*sighting))
    return horizon.safe


def test_all_seen_events_are_final_without_open_transactions():
    assert list_events_after((7, 100, 100)) == 7


def test_open_transaction_holds_the_horizon():
    assert list_events_after((7, 99, 100)) == 0
    assert list_events_after((7, 99, 100), (9, 99, 102)) == 0


def test_seen_events_are_final_when_earlier_transactions_have_ended():
    assert list_events_after((7, 99, 100), (9, 100, 102)) == 7
    assert list_events_after((7, 99, 100), (9, 101, 102)) == 7
    assert list_events_after((7, 99, 100), (9, 101, 102), (12, 102, 103)) == 9


def test_horizon_never_decreases():
    assert list_events_after((7, 100, 100), (6, 100, 100)) == 7


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 30), st.booleans()), max_size=60))
def test_no_event_appears_below_the_horizon_for_any_commit_sequence(moves):
    """Transactions take numbers and ids, and end in any order; the horizon is looked at in between."""
    numbers, ids = 100, 0
    active: dict[int, tuple[int, set[int]]] = {}
    committed: set[int] = set()
    horizon, shown = Horizon(), set[int]()
    for slot, _, commits in moves:
        if slot in active:
            _, drawn = active.pop(slot)
            if commits:
                committed |= drawn
                assert min(drawn) > horizon.safe
        elif slot < 4:
            ids += 1
            active[slot] = (numbers, {ids})
            numbers += 1
        xmin = min((number for number, _ in active.values()), default=numbers)
        horizon = advance_horizon(horizon, OutboxState(max(committed, default=0), xmin, numbers))
        shown |= {commit_id for commit_id in committed if commit_id <= horizon.safe}
    assert shown == {commit_id for commit_id in committed if commit_id <= horizon.safe}
