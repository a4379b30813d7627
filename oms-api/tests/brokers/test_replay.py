"""Replayed orders are stamped with the end of their bar, and match from the first bar after the latency."""

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from app.brokers.in_memory.broker import InMemoryBroker
from app.brokers.in_memory.replay import replay
from app.brokers.rules.settings import PaperSettings
from app.brokers.rules.values import Accepted, Executed
from tests.brokers.market import NOON, parse_bar_text, parse_order_text

MINUTE = timedelta(minutes=1)


@st.composite
def gapped_starts(draw: st.DrawFn) -> list[datetime]:
    minutes = draw(st.sets(st.integers(0, 60), min_size=2, max_size=12))
    return [NOON + minute * MINUTE for minute in sorted(minutes)]


def _replay(starts, latency, made_at, backdated=timedelta(0)):
    """Return the events of a market order that is made on the bar at `made_at`."""
    broker = InMemoryBroker(PaperSettings(latency=latency))

    def decide(market_view, _):
        stamp = market_view.start - backdated
        return [parse_order_text("BUY 10 MARKET", accepted_at=stamp)] if market_view.start == made_at else []

    replay([parse_bar_text("100/105/95/102", start=start) for start in starts], broker, decide, MINUTE)
    return [record.event for record in broker.list_events()]


@given(gapped_starts(), st.integers(0, 11), st.integers(0, 300), st.integers(0, 600))
def test_order_fills_on_the_first_bar_that_begins_after_its_arrival(starts, place, latency, backdated):
    made_at, delay = starts[place % len(starts)], timedelta(seconds=latency)
    events = _replay(starts, delay, made_at, timedelta(seconds=backdated))
    arrival = made_at + MINUTE + delay
    expected = next((start for start in starts if start >= arrival), None)
    filled = [event.at for event in events if isinstance(event, Executed)]
    assert filled == ([] if expected is None else [expected])


def test_order_is_accepted_at_the_end_of_its_bar():
    events = _replay([NOON, NOON + MINUTE], timedelta(0), NOON)
    assert events[0] == Accepted("A", NOON + MINUTE)


def test_length_of_the_bars_is_the_delay_of_their_orders():
    broker, hour = InMemoryBroker(), timedelta(hours=1)

    def decide(market_view, _):
        return [parse_order_text("BUY 10 MARKET")] if market_view.start == NOON else []

    starts = [NOON, NOON + MINUTE, NOON + hour]
    replay([parse_bar_text("100/105/95/102", start=start) for start in starts], broker, decide, hour)
    assert [fill.at for fill in broker.list_executions()] == [NOON + hour]
