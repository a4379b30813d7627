"""Ticks are kept for some days and rolled up into bars, whoever rolls them up and whenever that stops."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

import pytest
from sqlalchemy import func, select
from typing_extensions import override

from app.database import connect_engine, execute_writes, unit_of_work
from app.instruments.rules import InstrumentKey
from app.market_data import queries
from app.market_data.models import BarRow, DailyBarRow, TickRow
from app.market_data.queries.bars import list_bars
from app.market_data.rules.bars import Interval, combine_bars, fold_quotes
from app.market_data.rules.values import Quote
from app.market_data.service import bar_rollup
from app.market_data.service.bar_rollup import BarRollup, TickRetention
from app.market_data.service.bars import read_bars
from tests.support.jobs import EndlessLease

pytestmark = pytest.mark.any_database

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
AAPL = InstrumentKey(1, "AAPL")
FAR = (NOON - 30 * DAY, NOON + 30 * DAY)


class Interrupted(Exception):
    """The process died."""


class BrokenLease(EndlessLease):
    """A lease under which a process dies."""

    @override
    def renew(self):
        raise Interrupted


@pytest.fixture
def scoped_engine(engine):
    """Provide the service's kind of engine with the tenant scope that jobs set."""
    scoped = connect_engine(engine.url.render_as_string(hide_password=False), tenant_scoped=True)
    yield scoped
    scoped.dispose()


def build_tick(last, at=NOON, symbol="AAPL"):
    return Quote(symbol, None, None, Decimal(last), None, None, at, "manual")


def create_bar_store(engine, *ticks):
    with unit_of_work(engine) as connection:
        execute_writes(connection, *queries.build_quote_writes([(1, tick) for tick in ticks], {}))


def roll_up(engine, at, lease=None):
    BarRollup(engine, lambda: at).roll_up(lease or EndlessLease())


def count_rows(engine, table):
    with engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def read_stored_bars(engine, interval=Interval.MINUTE):
    with engine.connect() as connection:
        return read_bars(connection, AAPL, interval, *FAR)


def test_bars_are_the_same_whenever_ticks_are_rolled_up(engine, scoped_engine, monkeypatch):
    monkeypatch.setattr(bar_rollup, "MAX_TICKS", 7)
    random = Random(12)
    at, ticks = NOON, []
    rollup, other = (BarRollup(scoped_engine, lambda: at) for _ in range(2))
    for _ in range(12):
        for _ in range(random.randint(1, 12)):
            at += random.choice((SECOND, 20 * SECOND, MINUTE, 7 * MINUTE, 9 * 60 * MINUTE))
            ticks.append(build_tick(random.randint(90, 110), at))
            create_bar_store(engine, ticks[-1])
        for process in random.choice(((), (rollup,), (rollup, other))):
            process.roll_up(EndlessLease())
        assert read_stored_bars(engine) == fold_quotes(ticks)
        assert read_stored_bars(engine, Interval.DAY) == combine_bars(fold_quotes(ticks), Interval.DAY)
    roll_up(scoped_engine, at + DAY)
    with engine.connect() as connection:
        days = list_bars(connection, Interval.DAY, AAPL, *FAR, 100)
        assert list_bars(connection, Interval.MINUTE, AAPL, *FAR, 10_000) == fold_quotes(ticks)
    assert days == combine_bars(fold_quotes(ticks), Interval.DAY)


def test_roll_up_continues_after_a_process_died(engine, scoped_engine):
    create_bar_store(
        engine, build_tick("100"), build_tick("50", symbol="MSFT"), build_tick("101", NOON + MINUTE)
    )
    with pytest.raises(Interrupted):
        roll_up(scoped_engine, NOON + 2 * DAY, BrokenLease())
    assert (count_rows(engine, BarRow), count_rows(engine, DailyBarRow)) == (3, 0)
    for _ in range(2):
        roll_up(scoped_engine, NOON + 2 * DAY)
        assert (count_rows(engine, BarRow), count_rows(engine, DailyBarRow)) == (3, 2)


def test_day_that_has_not_ended_has_no_stored_bar(engine, scoped_engine):
    create_bar_store(
        engine, build_tick("100", NOON - DAY), build_tick("101"), build_tick("99", NOON + SECOND)
    )
    roll_up(scoped_engine, NOON + MINUTE)
    assert count_rows(engine, DailyBarRow) == 1
    assert [(bar.open, bar.close) for bar in read_stored_bars(engine, Interval.DAY)] == [
        (100, 100),
        (101, 99),
    ]


def test_old_ticks_are_deleted_and_their_bars_stay(engine, scoped_engine, monkeypatch):
    monkeypatch.setattr(bar_rollup, "MAX_TICKS", 2)
    create_bar_store(
        engine,
        *(build_tick(100 + number, NOON + number * SECOND) for number in range(5)),
        build_tick("7", NOON + DAY),
    )
    retention = TickRetention(scoped_engine, DAY, lambda: NOON + DAY + MINUTE)
    retention.prune(EndlessLease())
    assert count_rows(engine, TickRow) == 6  # no bar has them yet
    roll_up(scoped_engine, NOON + DAY)
    retention.prune(EndlessLease())
    assert count_rows(engine, TickRow) == 1
    assert [(bar.open, bar.high) for bar in read_stored_bars(engine)] == [(100, 104), (7, 7)]
    roll_up(scoped_engine, NOON + 3 * DAY)
    assert [(bar.open, bar.high) for bar in read_stored_bars(engine)] == [(100, 104), (7, 7)]


def test_earlier_price_is_the_last_tick_then_the_last_close(engine, scoped_engine, service):
    create_bar_store(
        engine, build_tick("100"), build_tick("101", NOON + 70 * SECOND), build_tick("7", NOON + DAY)
    )
    load_past_quotes = service.app.state.market.load_past_quotes
    with engine.connect() as connection:
        quotes = [load_past_quotes(connection, [AAPL], NOON + seconds * SECOND) for seconds in (0, 69, 70)]
    assert [quote[AAPL].last for quote in quotes] == [100, 100, 101]
    roll_up(scoped_engine, NOON + DAY)
    TickRetention(scoped_engine, MINUTE, lambda: NOON + DAY).prune(EndlessLease())
    with engine.connect() as connection:
        assert load_past_quotes(connection, [AAPL], NOON + 130 * SECOND)[AAPL].last == 101
        assert load_past_quotes(connection, [AAPL], NOON - SECOND).get(AAPL) is None
