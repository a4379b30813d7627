"""The equity of a portfolio now, at an interval and at each close, recomputed naively from the rows."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update
from typing_extensions import override

from app.clock import utc_now
from app.ledger.models import Portfolio
from app.performance.models import EquitySnapshot
from app.performance.rules.closes import MAX_MISSED_CLOSES
from app.performance.service import snapshots as snapshot_service
from tests.support.jobs import EndlessLease, run_snapshot_service, take_snapshots
from tests.support.service import run_service

TOMORROW = datetime(2036, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
INSTANT = timedelta(microseconds=1)


@pytest.fixture(scope="module")
def service(backend, new_database):
    """Provide a service of this module's own, since snapshots are taken of all its portfolios."""
    with run_service(new_database(backend)) as running:
        yield running


def read_snapshots(api, kind="close", name="Growth"):
    """Return the snapshots of a portfolio, the oldest first."""
    with api.service.open_connection() as connection:
        return connection.execute(
            select(EquitySnapshot.__table__)
            .where(EquitySnapshot.tenant_id == api.tenant_id, EquitySnapshot.kind == kind)
            .order_by(EquitySnapshot.at)
        ).all()


def set_last_price(api, price, symbol="AAPL"):
    api.set_quote(symbol, None, None, price)


def test_documented_day_pnl_example_is_computed_exactly(service, api):
    created = api.post("/portfolios", {"name": "Growth", "opening_cash": "100000"})
    assert created.status_code == 201, created.text
    days = [
        (api.buy, "100", "50", "52", "199"),
        (api.sell, "150", "53", "54", "49"),
        (api.buy, "50", "55", "55", "-51"),
    ]
    for number, (trade, quantity, price, close, expected) in enumerate(days):
        trade(quantity, price, charges="1")
        set_last_price(api, close)
        assert api.get_portfolio()["day_pnl"] == f"{expected}.00"
        take_snapshots(service, TOMORROW + number * DAY)
        assert api.get_portfolio()["day_pnl"] == "0.00"
    assert api.get_portfolio()["total_pnl"] == "197.00"
    assert [str(snapshot.equity) for snapshot in read_snapshots(api)] == [
        f"{equity}.00000000" for equity in (100199, 100248, 100197)
    ]
    last = read_snapshots(api)[-1]
    assert (last.realized_pnl, last.charges, last.unrealized_pnl) == (200, 3, 0)


def test_deposit_is_not_day_pnl_or_return(service, api):
    """100,000; at 101,000 deposit 50,000; close 154,000: day P&L 4,000, return 3.006623%."""
    assert api.post("/portfolios", {"name": "Growth", "opening_cash": "100000"}).status_code == 201
    api.buy("1000", "50")
    set_last_price(api, "51")
    deposit = {"kind": "deposit", "amount": "50000", "currency": "USD", "reason": "New capital"}
    assert api.post("/portfolios/Growth/cash", deposit).status_code == 201
    with run_snapshot_service(service, utc_now()) as snapshots:
        snapshots.take_flow_snapshots(EndlessLease())
        snapshots.take_flow_snapshots(EndlessLease())
    [flow] = read_snapshots(api, "flow")
    assert (flow.equity, flow.flows, flow.charges) == (151_000, 50_000, 0)
    set_last_price(api, "54")
    body = api.get_portfolio()
    assert (body["equity"], body["day_pnl"], body["total_pnl"]) == ("154000.00", "4000.00", "4000.00")
    performance = api.get("/portfolio/Growth/performance").json()
    assert (performance["time_weighted_return"], performance["days"]) == ("0.03006623", 0)
    take_snapshots(service, TOMORROW)
    [close] = read_snapshots(api)
    assert (close.equity, close.flows, close.charges) == (154_000, 50_000, 0)
    assert api.get_portfolio()["day_pnl"] == "0.00"


def test_late_snapshot_excludes_later_cash_movements(service, api):
    first = api.buy("10", "100", symbol="EURXYZ", charges="1")
    at = datetime.fromisoformat(first["created_at"])
    deposit = {"kind": "deposit", "amount": "50000", "currency": "USD", "reason": "New capital"}
    assert api.post("/portfolios/Growth/cash", deposit).status_code == 201
    with run_snapshot_service(service, at, INSTANT) as snapshots:
        snapshots.take_interval_snapshots(EndlessLease())
    [late] = read_snapshots(api, "interval")
    assert (late.cash, late.flows, late.charges) == (998_999, 0, 1)


def test_portfolio_day_ends_at_the_close_of_its_calendar(service, api):
    created = api.post("/portfolios", {"name": "Growth", "calendar": "XNYS"})
    assert created.status_code == 201, created.text
    with service.engine.connect() as connection, connection.begin():
        opened = datetime(2026, 11, 2, tzinfo=UTC)
        connection.execute(
            update(Portfolio).where(Portfolio.tenant_id == api.tenant_id).values(created_at=opened)
        )
    take_snapshots(service, datetime(2026, 11, 23, 3, tzinfo=UTC))
    assert [snapshot.at for snapshot in read_snapshots(api)] == [datetime(2026, 11, 20, 21, tzinfo=UTC)]


@settings(max_examples=3)
@given(st.integers(0, 2**32))
def test_random_days_equal_a_naive_computation(service, seed):
    draw, api = Random(seed), service.create_client()
    cash, last_close = Decimal(1_000_000), Decimal(1_000_000)
    quantities: dict[str, Decimal] = {}
    prices: dict[str, Decimal] = {}
    for day in range(4):
        for _ in range(draw.randint(0, 4)):
            symbol = draw.choice(["AAPL", "MSFT"])
            quantity, price = Decimal(draw.randint(1, 999)) / 10, Decimal(draw.randint(1, 99999)) / 1000
            sign, charges = draw.choice([1, -1]), Decimal(draw.randint(0, 300)) / 100
            (api.buy if sign > 0 else api.sell)(
                str(quantity), str(price), symbol=symbol, charges=str(charges)
            )
            cash -= sign * quantity * price + charges
            quantities[symbol] = quantities.get(symbol, Decimal(0)) + sign * quantity
            prices[symbol] = Decimal(draw.randint(1, 99999)) / 1000
            set_last_price(api, str(prices[symbol]), symbol)
        if not quantities:
            continue
        values = [quantity * prices[symbol] for symbol, quantity in quantities.items()]
        equity = cash + sum(values)
        body = api.get_portfolio()
        assert Decimal(body["equity"]) == equity
        assert Decimal(body["gross_exposure"]) == sum(map(abs, values))
        assert Decimal(body["net_exposure"]) == sum(values)
        assert Decimal(body["day_pnl"]) == equity - last_close
        assert Decimal(body["total_pnl"]) == equity - 1_000_000
        take_snapshots(service, TOMORROW + day * DAY)
        snapshot = read_snapshots(api)[-1]
        assert (snapshot.cash, snapshot.equity) == (cash, equity)
        earned = snapshot.realized_pnl + snapshot.unrealized_pnl - snapshot.charges
        assert earned == equity - 1_000_000
        last_close = equity


def test_late_snapshot_is_valued_at_its_instant(service, api):
    first = api.buy("10", "100", symbol="EURXYZ", charges="1")
    at = datetime.fromisoformat(first["created_at"])
    api.buy("10", "110", symbol="EURXYZ")
    set_last_price(api, "120", "EURXYZ")
    with run_snapshot_service(service, at, INSTANT) as snapshots:
        snapshots.take_interval_snapshots(EndlessLease())
    [late] = read_snapshots(api, "interval")
    assert (late.at, late.cash, late.charges) == (at, 998_999, 1)
    assert (late.market_value, late.unrealized_pnl) == (1000, 0)  # at the trade's price: no quote was there


def test_missed_closes_are_recorded_later(service, api):
    api.buy("10", "100")
    set_last_price(api, "110")
    take_snapshots(service, TOMORROW)
    take_snapshots(service, TOMORROW + 3 * DAY + timedelta(hours=1))
    assert [snapshot.at for snapshot in read_snapshots(api)] == [TOMORROW + day * DAY for day in range(4)]
    take_snapshots(service, TOMORROW + 100 * DAY)
    assert len(read_snapshots(api)) == 4 + MAX_MISSED_CLOSES


def test_snapshots_left_by_a_killed_process_are_completed_by_the_next(service, monkeypatch):
    apis = [service.create_client() for _ in range(3)]
    for api in apis:
        api.buy("10", "100")
    take_snapshots(service, TOMORROW)
    monkeypatch.setattr(snapshot_service, "MAX_PORTFOLIOS", 1)

    class Killed(EndlessLease):
        @override
        def renew(self):
            raise KeyboardInterrupt

    with run_snapshot_service(service, TOMORROW + DAY) as snapshots, pytest.raises(KeyboardInterrupt):
        snapshots.take_close_snapshots(Killed())
    monkeypatch.undo()
    for _ in range(2):
        take_snapshots(service, TOMORROW + DAY)
    assert [len(read_snapshots(api)) for api in apis] == [2, 2, 2]


def test_portfolio_that_became_flat_has_one_more_snapshot(service, api):
    api.buy("10", "100")
    sold = api.sell("10", "110")
    at = datetime.fromisoformat(sold["created_at"]) + timedelta(minutes=1)
    take_snapshots(service, at)
    take_snapshots(service, at + timedelta(minutes=5))
    [flat] = read_snapshots(api, "interval")
    assert (flat.equity, flat.market_value) == (1_000_100, 0)


def test_other_currencies_are_converted_at_the_current_rate(service, api):
    """An INR portfolio: 6 of 10 held, bought at 200 USD by 83.50, now 205 USD by 85."""
    created = api.post("/portfolios", {"name": "Growth", "base_currency": "INR"})
    assert created.status_code == 201, created.text
    response = api.put("/instruments/XYZ", {"tick_size": "0.01", "lot_size": "1", "currency": "USD"})
    assert response.status_code in {200, 201}, response.text
    for rate, trade, quantity, price in (("83.50", api.buy, "10", "200"), ("84", api.sell, "4", "210")):
        set_last_price(api, rate, "USD/INR")
        trade(quantity, price, symbol="XYZ")
    set_last_price(api, "85", "USD/INR")
    set_last_price(api, "205", "XYZ")
    body = api.get_portfolio()
    assert (body["realized_pnl"], body["unrealized_pnl"]) == ("3760.00", "4350.00")
    assert (body["equity"], body["total_pnl"]) == ("1008110.00", "8110.00")
    take_snapshots(service, TOMORROW)
    assert read_snapshots(api)[-1].equity == 1_008_110


def test_mark_without_a_quote_is_the_last_trade_price(serve):
    with serve(price_source="manual") as service:
        api = service.create_client()
        api.buy("10", "100")
        api.buy("10", "110")
        assert api.get_portfolio()["unrealized_pnl"] == "100.00"


def test_portfolio_at_an_earlier_time_has_no_valuation(api):
    api.buy("10", "100")
    assert api.get_portfolio(as_of="1")["equity"] is None
    assert api.get_portfolio(as_of="1")["day_pnl"] is None


def test_close_publishes_a_summary_of_the_day_of_each_active_portfolio(service, api):
    for name in ("Growth", "Idle"):
        created = api.post("/portfolios", {"name": name, "opening_cash": "100000"})
        assert created.status_code == 201, created.text
    api.buy("100", "50", charges="1")
    mistake = api.sell("10", "60", charges="1")
    assert api.post_reversal(mistake["trade_id"]).status_code == 201
    set_last_price(api, "52")
    take_snapshots(service, TOMORROW)
    take_snapshots(service, TOMORROW)
    set_last_price(api, "51")
    take_snapshots(service, TOMORROW + DAY)
    second, first = (event["data"] for event in api.get("/events", type="portfolio.*").json())
    portfolio = first.pop("portfolio_id")
    assert first == {
        "portfolio_name": "Growth", "currency": "USD", "closed_at": "2036-01-01T00:00:00.000000Z",
        "trades": 2, "volume": "5600.00", "charges": "1.00", "realized_pnl": "0.00", "day_pnl": "199.00",
        "unrealized_pnl": "200.00", "equity": "100199.00", "gross_exposure": "5200.00",
        "net_exposure": "5200.00",
    }  # fmt: skip
    assert (second["portfolio_id"], second["trades"], second["day_pnl"]) == (portfolio, 0, "-100.00")
