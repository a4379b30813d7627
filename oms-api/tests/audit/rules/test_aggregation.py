"""Similar entries become one row with a count.

Rows and memory are bounded, and every act is counted.
"""

import tracemalloc
from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.audit.rules import aggregation as gathering_module
from app.audit.rules.aggregation import MAX_DISTINCT, OTHERS, Aggregator
from tests.audit.entries import build_entry
from tests.factories import NOON

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


def build_denial(number=0, **changes):
    return build_entry(action="denied", target=f"operation {number}", before=None, after=None, **changes)


def flush_entries(aggregator, now, **options):
    """Take the due entries as if they were written at once. Return (entry, count) of each row."""
    counted_entries = aggregator.take_due(now, **options)
    for key in counted_entries:
        aggregator.confirm_written(key)
    return [(counted.entry, counted.count) for counted in counted_entries.values()]


def test_first_action_is_recorded_at_once_and_repeats_at_the_end_of_the_minute():
    aggregator = Aggregator()
    first, second = build_denial(request_id="first"), build_denial(request_id="second", at=NOON + 2 * SECOND)
    aggregator.add(first)
    assert flush_entries(aggregator, NOON + SECOND) == [(first, 1)]
    for _ in range(998):
        aggregator.add(second)
    assert flush_entries(aggregator, NOON + 59 * SECOND) == []
    assert flush_entries(aggregator, NOON + MINUTE) == [(second, 998)]
    assert flush_entries(aggregator, NOON + MINUTE + SECOND) == []


def test_next_minute_starts_a_new_count():
    aggregator = Aggregator()
    aggregator.add(build_denial())
    flush_entries(aggregator, NOON)
    later = build_denial(at=NOON + MINUTE)
    aggregator.add(later)
    assert flush_entries(aggregator, NOON + MINUTE) == [(later, 1)]


@pytest.mark.parametrize(
    "change", [{"actor": "slack:T1:U2"}, {"tenant_id": 2}, {"action": "login.failed"}, {"number": 1}]
)
def test_different_actions_are_counted_separately(change):
    aggregator = Aggregator()
    aggregator.add(build_denial())
    aggregator.add(
        build_denial(**({"number": 0} | change)) if "action" not in change else build_entry(**change)
    )
    assert [count for _, count in flush_entries(aggregator, NOON)] == [1, 1]


def test_shutdown_drains_all_counts():
    aggregator = Aggregator()
    aggregator.add(build_denial())
    flush_entries(aggregator, NOON)
    aggregator.add(build_denial())
    assert [count for _, count in flush_entries(aggregator, NOON, include_recent=True)] == [1]


def test_actions_beyond_the_distinct_limit_are_counted_together():
    aggregator = Aggregator()
    for number in range(MAX_DISTINCT + 500):
        aggregator.add(build_denial(number))
    rows = flush_entries(aggregator, NOON)
    aggregate, count = rows[-1]
    assert (len(rows), count) == (MAX_DISTINCT + 1, 500)
    assert aggregate.actor == OTHERS
    assert aggregate.via == OTHERS
    assert aggregate.target == OTHERS
    assert aggregate.request_id is None
    assert aggregate.action == "denied"


def test_distinct_limits_are_separate_for_each_kind_and_tenant():
    aggregator = Aggregator()
    for number in range(MAX_DISTINCT + 500):
        aggregator.add(build_denial(number))
    for lone in (build_entry(action="login.failed"), build_denial(tenant_id=2)):
        aggregator.add(lone)
        assert (lone, 1) in flush_entries(aggregator, NOON)


def test_failed_write_is_retried_with_later_actions():
    aggregator = Aggregator()
    first = build_denial(request_id="first")
    aggregator.add(first)
    (key,) = aggregator.take_due(NOON)
    aggregator.add(build_denial(request_id="second"))
    aggregator.restore_unwritten(key)
    assert aggregator.count_waiting() == 2
    assert flush_entries(aggregator, NOON + SECOND) == [(first, 2)]
    assert aggregator.count_waiting() == 0


def test_count_being_written_is_not_taken_twice():
    aggregator = Aggregator()
    aggregator.add(build_denial())
    assert len(aggregator.take_due(NOON)) == 1
    assert aggregator.take_due(NOON + MINUTE) == {}
    assert aggregator.count_waiting() == 1


def test_full_aggregator_rejects_actions_until_space_is_free():
    aggregator = Aggregator(max_groups=2)
    assert aggregator.add(build_denial(1))
    assert aggregator.add(build_denial(2))
    assert not aggregator.add(build_denial(3))
    assert aggregator.add(build_denial(1))
    flush_entries(aggregator, NOON, include_recent=True)
    assert len(aggregator) == 2
    assert flush_entries(aggregator, NOON + MINUTE) == []
    assert len(aggregator) == 0
    assert aggregator.add(build_denial(3, at=NOON + MINUTE))


def test_long_texts_use_bounded_memory():
    aggregator = Aggregator()
    aggregator.add(build_denial(actor="x" * 100_000))
    aggregator.add(build_denial(actor="x" * 100_001))
    ((entry, count),) = flush_entries(aggregator, NOON)
    assert (len(entry.actor), count) == (300, 2)


def test_flood_of_20_000_actions_makes_few_rows_in_little_memory():
    acts = [build_denial(number) for number in range(500)]
    tracemalloc.start()
    aggregator = Aggregator()
    rows = []
    for number in range(20_000):
        aggregator.add(acts[number % 500])
        if number % 2_000 == 0:
            rows += flush_entries(aggregator, NOON + number * timedelta(microseconds=590))
        assert len(aggregator) <= MAX_DISTINCT + 1
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    rows += flush_entries(aggregator, NOON + MINUTE)
    assert most < 10_000_000  # each act kept would take more; other threads allocate a little too
    assert len(rows) <= 2 * (MAX_DISTINCT + 1)
    assert sum(count for _, count in rows) == 20_000


def test_finished_minutes_leave_no_memory():
    tracemalloc.start()
    aggregator = Aggregator()
    for minute in range(5_000):
        aggregator.add(build_denial(at=NOON + minute * MINUTE))
        assert len(flush_entries(aggregator, NOON + minute * MINUTE)) == 1
    own = tracemalloc.Filter(inclusive=True, filename_pattern=gathering_module.__file__)  # not other threads'
    allocations = tracemalloc.take_snapshot().filter_traces([own]).statistics("filename")
    tracemalloc.stop()
    assert sum(group.size for group in allocations) < 50_000


steps = st.lists(
    st.tuples(
        st.integers(1, 2),  # tenant
        st.integers(0, 40),  # operation
        st.integers(0, 20),  # seconds that pass
        st.sampled_from(["nothing", "written", "failed"]),
    ),
    max_size=60,
)


@given(steps)
def test_every_action_is_counted_once_despite_failures(steps):
    aggregator, now = Aggregator(max_groups=30), NOON
    counts: Counter[int] = Counter()
    noted: Counter[int] = Counter()
    for tenant_id, number, seconds, flush in steps:
        now += seconds * SECOND
        if aggregator.add(build_denial(number, tenant_id=tenant_id, at=now)):
            noted[tenant_id] += 1
        assert len(aggregator) <= 30
        if flush == "written":
            for act, count in flush_entries(aggregator, now):
                counts[act.tenant_id] += count
        elif flush == "failed":
            for key in aggregator.take_due(now):
                aggregator.restore_unwritten(key)
        assert aggregator.count_waiting() == noted.total() - counts.total()
    for act, count in flush_entries(aggregator, now, include_recent=True):
        counts[act.tenant_id] += count
    assert counts == noted
