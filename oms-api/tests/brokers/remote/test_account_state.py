"""Events that a stream did not report are read, also after a failed or incomplete reading."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from app.brokers.errors import BrokerUnavailable
from app.brokers.remote.account_state import FILL_TIMEOUT_SECONDS, REPORT_TIMEOUT_SECONDS, AccountState
from app.brokers.remote.event_log import EventLog
from app.brokers.rules.order_reports import FillReport, OrderReport
from tests.brokers.market import format_events
from tests.brokers.order_reports import NOW, build_fill, build_report


@dataclass
class Reader:
    """An account with one order."""

    report: OrderReport = field(default_factory=build_report)
    fills: list[FillReport] = field(default_factory=list)
    is_down: bool = False

    def find(self, _order_id: str) -> OrderReport | None:
        if self.is_down:
            raise BrokerUnavailable
        return self.report

    find_by_broker_id = find

    def list_open(self) -> list[OrderReport]:
        return [self.report] if self.report.is_open else []

    def list_since(self, _since: datetime) -> list[OrderReport]:
        return [self.report]

    def list_fills(self, since: datetime) -> list[FillReport]:
        return [fill for fill in self.fills if fill.at > since]


@pytest.fixture
def reader():
    return Reader()


@pytest.fixture
def seconds():
    """Provide the time that has passed, as the only item of a list."""
    return [0.0]


@pytest.fixture
def state(reader, seconds):
    return AccountState(reader, EventLog(), lambda: NOW, lambda: seconds[0])


def test_order_is_read_again_after_a_reading_that_failed(state, reader, seconds):
    state.apply_report(reader.report)
    state.await_report("A")
    reader.report, reader.fills = build_report("canceled", "4"), [build_fill("E1", "4")]
    reader.is_down, seconds[0] = True, REPORT_TIMEOUT_SECONDS
    with pytest.raises(BrokerUnavailable):
        state.check_silence()
    reader.is_down, seconds[0] = False, 2 * REPORT_TIMEOUT_SECONDS
    assert state.check_silence()
    assert format_events(state.log.list_since(1)) == ["A 4 @ 95", "A unfilled canceled"]


@pytest.mark.parametrize("status", ["partially_filled", "filled", "canceled"])
def test_fill_that_is_older_than_a_reading_is_read_with_its_order(state, reader, seconds, status):
    state.apply_report(reader.report)
    other = build_fill("E2", "1", "B")._replace(at=NOW + timedelta(minutes=10))
    reader.fills = [build_fill("E1", "4"), other]
    state.synchronize()  # the fill is listed before the order reports it
    reader.report = build_report(status, "4")
    state.synchronize()
    seconds[0] = FILL_TIMEOUT_SECONDS
    state.check_silence()
    events = format_events(state.log.list_since(1))
    assert events == ["A 4 @ 95"] + (["A unfilled canceled"] if status == "canceled" else [])


def test_time_in_the_future_hides_no_later_report(state, reader):
    far = NOW + timedelta(days=365_000)
    state.apply_report(build_report(filled="1")._replace(changed_at=far))
    reader.fills = [build_fill("E1", "1")._replace(at=far)]
    state.synchronize()
    reader.report = build_report("canceled", "4")._replace(changed_at=NOW + timedelta(minutes=2))
    reader.fills = [*reader.fills, build_fill("E2", "3")]
    state.synchronize()
    assert format_events(state.log.list_since(1)) == ["A 1 @ 95", "A 3 @ 95", "A unfilled canceled"]
    assert state.track("A").report.status == "canceled"
