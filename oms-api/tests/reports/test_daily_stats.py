"""The statistics of days that are over are rows, equal to what the ledger says."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from app.database import set_tenant_scope
from app.reports import queries
from app.reports.service.daily_stats import STORING_DELAY, DailyStatistics
from app.verify import verify_database
from tests.support.clock import SetClock
from tests.support.jobs import EndlessLease, store_daily_stats
from tests.support.service import run_service

DAYS = ("2026-11-18", "2026-11-19", "2026-11-20")


@pytest.fixture
def clock():
    return SetClock(f"{DAYS[0]}T12:00")


@pytest.fixture
def traded_service(backend, new_database, clock):
    """Provide a desk with two portfolios that traded on two days, and reversed a trade on the second."""
    with run_service(new_database(backend), now=clock, price_source="manual") as service:
        api = service.create_client()
        for name in ("Growth", "Income"):
            clock.set(f"{DAYS[0]}T12:00")
            api.post_trade(portfolio_name=name, side="BUY", quantity="10", gmv="1000", charges="1")
            mistake = api.post_trade(portfolio_name=name, side="SELL", quantity="5", gmv="400").json()
            clock.set(f"{DAYS[1]}T12:00")
            assert api.post_reversal(mistake["trade_id"]).status_code == 201
            api.post_trade(portfolio_name=name, side="SELL", quantity="5", gmv="600", charges="2")
        clock.set(f"{DAYS[2]}T12:00")
        yield api


def list_days(api, **params):
    response = api.get("/daily-stats", **params)
    assert response.status_code == 200, response.text
    return [{**day, "converted": None} for day in response.json()]  # its rate has an age


def count_stored(api):
    with api.service.engine.connect() as connection:
        set_tenant_scope(connection, [api.tenant_id])
        return connection.execute(text("SELECT count(*) FROM daily_stats")).scalar_one()


def test_stored_days_equal_the_ledger(traded_service, clock):
    whole = {"from_": f"{DAYS[1]}T00:00:00Z", "to": f"{DAYS[2]}T00:00:00Z"}
    filters: tuple[dict[str, str], ...] = (
        {},
        {"portfolio": "Income"},
        whole,
        {"from_": f"{DAYS[0]}T12:30:00Z"},
        {"symbol": "AAPL"},
    )
    computed = [list_days(traded_service, **query) for query in filters]
    assert [len(days) for days in computed] == [4, 2, 2, 2, 4]
    store_daily_stats(traded_service.service, clock())
    assert count_stored(traded_service) == 4
    assert [list_days(traded_service, **query) for query in filters] == computed
    traded_service.post_trade(portfolio_name="Growth", side="BUY", quantity="1", gmv="100")
    newest = list_days(traded_service)[0]
    assert (newest["date"], newest["portfolio_name"]) == (DAYS[2], "Growth")
    assert list_days(traded_service)[1:] == computed[0]
    assert verify_database(traded_service.service.engine).is_clean


def test_portfolios_of_today_are_not_read(traded_service, clock, monkeypatch):
    clock.set(f"{DAYS[0]}T23:00")
    read = []

    def note(_connection, _tenant_id, filters):
        read.append(filters)
        return []

    monkeypatch.setattr(queries, "iterate_booked_rows", note)
    DailyStatistics(traded_service.service.engine, clock).store(EndlessLease())
    assert not read
    clock.set(f"{DAYS[1]}T12:00")
    DailyStatistics(traded_service.service.engine, clock).store(EndlessLease())
    assert [filters.since.date().isoformat() for filters in read] == [DAYS[0]] * 2


def test_day_is_stored_once_it_is_over(traded_service, clock):
    statistics = DailyStatistics(traded_service.service.engine, clock)
    clock.set(f"{DAYS[1]}T00:00")
    statistics.store(EndlessLease())
    assert count_stored(traded_service) == 0
    clock.at += STORING_DELAY
    for _ in range(2):
        statistics.store(EndlessLease())
        assert count_stored(traded_service) == 2
    clock.at += timedelta(days=1)
    statistics.store(EndlessLease())
    assert count_stored(traded_service) == 4
