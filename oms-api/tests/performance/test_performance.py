"""The equity curve and the statistics of a portfolio over REST."""

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import delete, select, update

from app.clock import utc_now
from app.database import connect_engine, execute_writes, unit_of_work
from app.ledger.models import Portfolio
from app.performance.models import EquitySnapshot
from app.performance.queries import build_snapshot_insert
from app.performance.rules.values import Snapshot
from app.performance.service.retention import SnapshotRetention
from app.timestamps import format_timestamp
from tests.support.jobs import EndlessLease

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
ZERO = Decimal(0)


def store_snapshots(api, *equities, kind="close", step=DAY, name="Growth", start=None):
    """Store a snapshot of each equity (or equity, flows so far), by default the last one a step ago."""
    with unit_of_work(api.service.engine) as connection:
        portfolio_id = connection.exec_driver_sql(
            f"SELECT id FROM portfolios WHERE tenant_id = {api.tenant_id} AND name = '{name}'"  # noqa: S608  # ours
        ).scalar_one()
        start = start or utc_now() - len(equities) * step
        connection.exec_driver_sql(
            f"UPDATE portfolios SET created_at = '{format_timestamp(start - step)}' WHERE id = {portfolio_id}"  # noqa: S608  # ours
        )
        rows = []
        for number, drawn in enumerate(equities):
            equity, flows = drawn if isinstance(drawn, tuple) else (drawn, 0)
            amounts = (ZERO, ZERO, ZERO, Decimal(equity), ZERO, ZERO, ZERO, Decimal(flows))
            at = start + number * step
            rows.append(Snapshot(api.tenant_id, portfolio_id, at, kind, *amounts))
        execute_writes(connection, build_snapshot_insert(rows))
    return [row.at for row in rows]


def get_performance(api, **params):
    response = api.get("/portfolio/Growth/performance", **params)
    assert response.status_code == 200, response.text
    return response.json()


def get_history(api, **params):
    response = api.get("/portfolio/Growth/history", **params)
    assert response.status_code == 200, response.text
    return response.json()


@pytest.fixture
def portfolio_api(api):
    """Provide a portfolio of 100,000 without positions."""
    assert api.post("/portfolios", {"name": "Growth", "opening_cash": "100000"}).status_code == 201
    return api


def test_returns_drawdown_and_ratios_of_closes(portfolio_api):
    first, *_, worst, last = store_snapshots(
        portfolio_api, "100000", "101000", "100495", "102504.9", "101479.851", "100000"
    )
    body = get_performance(portfolio_api, to=format_timestamp(last - DAY / 2))
    assert (body["days"], body["start"]) == (5, format_timestamp(first - DAY))
    assert body["time_weighted_return"] == "0.01479851"
    since = get_performance(portfolio_api, from_=format_timestamp(first), to=format_timestamp(last - DAY / 2))
    assert (since["days"], since["start"], since["end"]) == (
        4,
        format_timestamp(first),
        format_timestamp(worst),
    )
    # the worked example's ratios by √252; without a calendar a year has 365 days
    scale = Decimal(365 / 252).sqrt()
    assert round(Decimal(since["sharpe"]) / scale, 4) == Decimal("4.3235")
    assert round(Decimal(since["sortino"]) / scale, 4) == Decimal("10.6489")
    assert since["max_drawdown"]["share"] == "0.01000000"
    assert (since["max_drawdown"]["trough_at"], since["max_drawdown"]["recovered_at"]) == (
        format_timestamp(worst),
        None,
    )
    assert (since["cagr"], since["turnover"], since["charges"]) == (None, "0.00000000", "0.00")


def test_deposit_between_closes_is_not_a_return(portfolio_api):
    [_, _, last] = store_snapshots(portfolio_api, "100000", ("154000", "50000"), ("154000", "50000"))
    body = get_performance(portfolio_api, to=format_timestamp(last))
    assert body["time_weighted_return"] == "0.04000000"


def test_round_trips_are_counted_net_of_charges(api):
    api.buy("100", "50", charges="1")
    api.sell("150", "53", charges="3")
    api.buy("50", "55", charges="1")
    body = get_performance(api)
    assert (body["round_trips"], body["win_rate"]) == (2, "0.50000000")
    assert (body["average_win"], body["average_loss"], body["expectancy"]) == (
        "297.00",
        "-102.00",
        "97.50",
    )
    assert (body["profit_factor"], body["charges"]) == ("2.91176471", "5.00")
    assert body["time_weighted_return"] == "0.00019500"
    assert (body["value_at_risk_95"], body["max_drawdown"]) == (None, None)
    assert Decimal(body["turnover"]) == round(Decimal(5000 + 7950 + 2750) / Decimal("1000097.5"), 8)


def test_value_at_risk_of_open_positions_uses_their_symbols(api):
    api.buy("10", "100")
    once = get_performance(api)
    api.buy("10", "100")
    twice = get_performance(api)
    for name in ("value_at_risk_95", "expected_shortfall_95", "value_at_risk_99", "expected_shortfall_99"):
        assert Decimal(twice[name]) == pytest.approx(2 * Decimal(once[name]), rel=Decimal("0.02"))
    assert 0 < Decimal(once["value_at_risk_95"]) <= Decimal(once["value_at_risk_99"])
    assert Decimal(once["value_at_risk_95"]) <= Decimal(once["expected_shortfall_95"])


def test_equity_curve_runs_from_the_opening_to_now(portfolio_api):
    first, second = store_snapshots(portfolio_api, "101000", "99990")
    body = get_history(portfolio_api, period="all")
    assert (body["interval"], body["base_currency"]) == ("1d", "USD")
    points = [(point["at"], point["equity"], point["drawdown"]) for point in body["points"]]
    assert points[:3] == [
        (format_timestamp(first - DAY), "100000.00", "0.00000000"),
        (format_timestamp(first), "101000.00", "0.00000000"),
        (format_timestamp(second), "99990.00", "0.01000000"),
    ]
    assert points[3][1:] == ("100000.00", "0.00990099")


def test_intervals_thin_the_curve(portfolio_api):
    store_snapshots(
        portfolio_api, *map(str, range(100_000, 100_120)), kind="interval", step=timedelta(seconds=5)
    )
    assert len(get_history(portfolio_api, period="1D", interval="5s")["points"]) >= 120
    minutes = get_history(portfolio_api, period="1D")
    assert minutes["interval"] == "1m"
    assert 10 <= len(minutes["points"]) <= 13
    assert len(get_history(portfolio_api, period="1D", interval="1d")["points"]) == 2


@pytest.mark.any_database
def test_drawdown_is_unknown_while_the_peak_is_not_positive(portfolio_api):
    store_snapshots(portfolio_api, "100000", "100000", "100000", "-1.50", step=DAY / 2)
    points = get_history(portfolio_api, period="1D", interval="1h")["points"][-2:]
    assert [(point["equity"], point["drawdown"]) for point in points] == [
        ("-1.50", None),
        ("100000.00", "0.00000000"),
    ]


def test_instants_have_six_decimals(portfolio_api):
    start = (utc_now() - HOUR).replace(microsecond=0)
    instants = store_snapshots(
        portfolio_api, "1", "2", "3", kind="interval", step=timedelta(seconds=5.5), start=start
    )
    points = get_history(portfolio_api, period="1D", interval="5s")["points"]
    assert [point["at"] for point in points[1:-1]] == list(map(format_timestamp, instants))


def test_only_old_interval_snapshots_are_deleted(service, portfolio_api):
    old = store_snapshots(
        portfolio_api, *["100000"] * 60, kind="interval", step=HOUR
    )  # of two chunks and a half
    closes = store_snapshots(portfolio_api, "100000", step=2 * DAY)
    retention = timedelta(days=30)
    pruned_until = old[-2] + HOUR / 2
    engine = connect_engine(service.database_url, readers=1, tenant_scoped=True)
    SnapshotRetention(engine, retention, lambda: pruned_until + retention).prune(EndlessLease())
    engine.dispose()
    with service.open_connection() as connection:
        columns = (EquitySnapshot.kind, EquitySnapshot.at)
        kept_rows = (
            select(*columns)
            .where(EquitySnapshot.tenant_id == portfolio_api.tenant_id)
            .order_by(EquitySnapshot.at)
        )
        assert [tuple(row) for row in connection.execute(kept_rows)] == [
            ("close", closes[0]),
            ("interval", old[-1]),
        ]


@pytest.mark.parametrize("path", ["history", "performance"])
def test_unknown_portfolio_is_not_found(service, portfolio_api, path):
    assert portfolio_api.get(f"/portfolio/Nobody/{path}").status_code == 404
    assert service.create_client().get(f"/portfolio/Growth/{path}").status_code == 404


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        ("history", "period", "2D"),
        ("history", "interval", "2m"),
        ("history", "from", "2026-01-01"),
        ("performance", "from", "yesterday"),
        ("performance", "period", "1D"),
    ],
)
def test_invalid_query_parameter_is_rejected_by_name(portfolio_api, path, name, value):
    response = portfolio_api.get(f"/portfolio/Growth/{path}", **{name: value})
    assert (response.status_code, [bad["field"] for bad in response.json()["errors"]]) == (422, [name])


def test_repeated_reads_see_snapshots_that_were_stored_late_or_deleted(portfolio_api):
    start = utc_now() - 10 * HOUR
    instants = store_snapshots(
        portfolio_api, *range(100_000, 100_008), kind="interval", step=HOUR, start=start
    )

    def equities():
        points = get_history(portfolio_api, period="1D", interval="1m")["points"]
        return [point["equity"] for point in points[1:-1]]

    expected = [f"{number}.00" for number in range(100_000, 100_008)]
    assert [equities(), equities()] == [expected, expected]
    store_snapshots(portfolio_api, 100_100, kind="interval", step=HOUR, start=instants[3] + HOUR / 2)
    with unit_of_work(
        portfolio_api.service.engine
    ) as connection:  # as before: `store_snapshots` moved the creation
        connection.execute(
            update(Portfolio)
            .where(Portfolio.tenant_id == portfolio_api.tenant_id)
            .values(created_at=start - HOUR)
        )
    expected.insert(4, "100100.00")
    assert [equities(), equities()] == [expected, expected]
    with unit_of_work(portfolio_api.service.engine) as connection:
        own_rows = EquitySnapshot.tenant_id == portfolio_api.tenant_id
        connection.execute(delete(EquitySnapshot).where(own_rows, EquitySnapshot.at <= instants[1]))
    assert equities() == expected[2:]


def test_repeated_statistics_see_closes_that_were_stored_late(portfolio_api):
    start = utc_now() - 9 * DAY
    store_snapshots(portfolio_api, 100_000, 101_000, 99_000, start=start)
    first = get_performance(portfolio_api)
    assert get_performance(portfolio_api)["days"] == first["days"]
    store_snapshots(portfolio_api, 102_000, start=start + 5 * DAY)
    with unit_of_work(portfolio_api.service.engine) as connection:
        connection.execute(
            update(Portfolio)
            .where(Portfolio.tenant_id == portfolio_api.tenant_id)
            .values(created_at=start - DAY)
        )
    assert get_performance(portfolio_api)["days"] == first["days"] + 1
