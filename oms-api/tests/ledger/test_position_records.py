"""Positions show what happened while they were open: extremes, drawdown, charges, risk and reward."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from app.clock import utc_now
from app.database import connect_engine
from app.ledger.models import PositionRecordRow
from app.ledger.queries import position_records as queries
from app.ledger.service import position_records
from app.ledger.service.position_records import PositionRecordUpdater
from tests.support.jobs import EndlessLease

MINUTE = timedelta(minutes=1)


def get_position(api, symbol="AAPL", *names):
    body = api.get(f"/positions/Growth/{symbol}").json()
    columns = names or ("highest_price", "lowest_price", "max_drawdown")
    return tuple(body[name] for name in columns)


def set_last_price(api, *prices, symbol="AAPL"):
    for price in prices:
        api.set_quote(symbol, None, None, price)


def update_records(service, at=None):
    """Update the records of all positions, as a process that has just started."""
    engine = connect_engine(service.database_url, readers=1, tenant_scoped=True)
    try:
        PositionRecordUpdater(engine, service.app.state.market, lambda: at or utc_now()).update(
            EndlessLease()
        )
    finally:
        engine.dispose()


def test_extremes_are_those_since_the_opening(service, api):
    set_last_price(api, "150")
    api.buy("100", "100", charges="1")
    set_last_price(api, "110", "90", "105")
    expected = ("110.00", "90.00", "2000.00")
    assert get_position(api) == expected
    for _ in range(2):
        update_records(service)
        assert get_position(api) == expected
    set_last_price(api, "120")
    assert get_position(api) == ("120.00", "90.00", "2000.00")
    update_records(service, utc_now() + 2 * MINUTE)
    set_last_price(api, "119")
    assert get_position(api)[0] == "120.00"


def test_total_pnl_is_after_the_charges_of_all_trades(service, api):
    api.buy("100", "100", charges="1")
    bought = api.buy("10", "100", charges="3")
    api.sell("50", "103", charges="2")
    set_last_price(api, "104")
    names = ("charges", "realized_pnl", "unrealized_pnl", "total_pnl")
    assert get_position(api, "AAPL", *names) == ("6.00", "150.00", "240.00", "384.00")
    assert api.post_reversal(bought["trade_id"]).status_code == 201
    update_records(service)
    assert get_position(api, "AAPL", *names)[0] == "3.00"
    api.sell("50", "104")
    flat = ("charges", "highest_price", "lowest_price", "max_drawdown", "risk_reward")
    assert get_position(api, "AAPL", *flat) == ("3.00", None, None, None, None)
    api.sell("5", "80")
    assert get_position(api) == ("104.00", "80.00", "120.00")


def test_risk_reward_compares_the_exits_with_the_average_cost(api):
    set_last_price(api, "100")
    api.buy("10", "100")
    assert get_position(api, "AAPL", "risk_reward") == (None,)
    for stop, target, expected in (("95", "115", "3.00"), ("90", "105", "0.50")):
        body = {"stop_loss": {"stop_price": stop}, "take_profit": {"limit_price": target}}
        response = api.put("/positions/Growth/AAPL/exits", body)
        assert response.status_code == 200, response.text
        assert get_position(api, "AAPL", "risk_reward") == (expected,)


def test_drawdown_is_converted_and_prices_are_not(service, api):
    terms = {"currency": "INR", "exchange": "NSE", "tick_size": "0.05", "lot_size": "1"}
    assert api.put("/instruments/TITAN", terms).status_code == 200
    set_last_price(api, "80", symbol="USD/INR")
    api.buy("10", "1600", symbol="TITAN")
    set_last_price(api, "2000", "1200", symbol="TITAN")
    assert get_position(api, "TITAN") == ("2000.00", "1200.00", "100.00")
    update_records(service)
    assert get_position(api, "TITAN") == ("2000.00", "1200.00", "100.00")


@pytest.mark.any_database
def test_records_are_stored_only_where_figures_changed(serve, monkeypatch):
    monkeypatch.setattr(position_records, "MAX_POSITIONS", 2)
    with serve(price_source="manual", duties="worker") as service:
        api = service.create_client()
        for symbol in ("A", "B", "C", "D", "E"):
            api.buy("1", "10", symbol=symbol)
        written, write = [], queries.build_record_upsert

        def count(records):
            written.append(len(records))
            return write(records)

        monkeypatch.setattr(queries, "build_record_upsert", count)
        update_records(service)
        assert written == [2, 2, 1]
        update_records(service)
        assert written == [2, 2, 1]
        set_last_price(api, "11", symbol="C")
        update_records(service)
        assert written == [2, 2, 1, 1]
        update_records(service, utc_now() + timedelta(minutes=30))
        assert written == [2, 2, 1, 1, 2, 2, 1]
        with service.open_connection() as connection:
            assert connection.execute(select(func.count()).select_from(PositionRecordRow)).scalar_one() == 5


@pytest.mark.any_database
def test_quoted_positions_are_updated_between_minutes(serve):
    with serve(price_source="manual") as service:
        api = service.create_client()
        api.buy("1", "10", symbol="A")
        api.buy("1", "10", symbol="B")
        records = PositionRecordUpdater(service.engine, service.app.state.market, utc_now)
        records.update(EndlessLease())
        set_last_price(api, "12", symbol="A")
        api.buy("1", "11", symbol="B")
        records.update(EndlessLease())
        with service.open_connection() as connection:
            query = select(PositionRecordRow.symbol, PositionRecordRow.highest_price)
            body = dict(connection.execute(query).all())
        assert body["A"] == 12
        assert body["B"] in {10, 11}  # 11 only where a new minute began
        assert get_position(api, "B")[0] == "11.00"


@pytest.mark.any_database
def test_old_position_without_a_record_counts_by_bars_of_days(serve):
    with serve(duties="worker") as service:
        api = service.create_client()
        api.buy("1", "178")
        later = utc_now() + timedelta(days=5)
        update_records(service, later)
        with service.open_connection() as connection:
            [record] = connection.execute(select(PositionRecordRow.__table__)).all()
        assert record.until <= later
        assert record.highest_price > record.lowest_price
