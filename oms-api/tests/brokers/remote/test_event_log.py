"""The cursors of a broker's events, across processes and clocks."""

from datetime import UTC, datetime

import pytest

from app.brokers.remote.event_log import EventLog
from app.brokers.rules.values import Accepted

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
EVENTS = [Accepted(f"order {number}", AT) for number in range(4)]


@pytest.fixture
def event_log():
    log = EventLog(1_000)
    log.append(EVENTS[:2])
    return log


def test_cursor_of_this_log_returns_later_entries(event_log):
    first, second = event_log.list_after(0)
    assert [record.event for record in event_log.list_after(first.cursor)] == [EVENTS[1]]
    assert event_log.list_after(second.cursor) == []
    event_log.append(EVENTS[2:])
    assert [record.event for record in event_log.list_after(second.cursor)] == EVENTS[2:]


@pytest.mark.parametrize("cursor", [0, 999, 1_001, 1_002, 1_003, 5_000_000])
def test_cursor_of_an_earlier_process_hides_no_event_despite_another_clock(event_log, cursor):
    records = event_log.list_after(cursor)
    assert [record.event for record in records] == EVENTS[:2]
    assert event_log.list_after(records[-1].cursor) == []


def test_cursor_of_an_earlier_process_hides_no_later_event():
    log = EventLog(1_000)
    assert log.list_after(1_001) == []
    log.append(EVENTS)
    assert [record.event for record in log.list_after(1_001)] == EVENTS
