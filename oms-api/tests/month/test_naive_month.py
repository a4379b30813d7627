"""A month on two markets and in two currencies: every figure equals a naive computation from the rows."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from sqlalchemy import text

from app.database import connect_engine
from app.verify import verify_database
from tests.month.naive import Figures, NaivePortfolio, compute_performance, multiply, read_portfolio
from tests.month.simulation import ACTIONS, AMERICA, CURRENCIES, INDIA, OPENING, Month, simulated_month

pytestmark = pytest.mark.any_database
SEED = 20261001
BOTH = (INDIA, AMERICA)


@pytest.fixture(scope="module")
def month(backend, new_database):
    with simulated_month(new_database(backend), SEED) as simulated:
        yield simulated


@pytest.fixture(scope="module")
def naive_portfolios(month) -> dict[str, NaivePortfolio]:
    with month.service.open_connection() as connection:
        return {
            name: read_portfolio(
                connection, month.api.tenant_id, name, CURRENCIES[name], OPENING[name], month.quotes
            )
            for name in BOTH
        }


def get_previous_figures(month: Month, name: str, at: datetime) -> datetime | None:
    return max((instant for instant in month.closes[name] if instant < at), default=None)


def compute_day_pnl(naive: NaivePortfolio, start: datetime | None, end: datetime) -> Decimal:
    before = Figures(naive.opening_cash, naive.opening_cash, Decimal(0), Decimal(0))
    before = before if start is None else naive.figures(start)
    after = naive.figures(end)
    return after.equity - before.equity - (after.flows - before.flows)


def test_month_has_everything(month, naive_portfolios):
    kinds = {movement.kind for name in BOTH for movement in naive_portfolios[name].movements}
    assert kinds >= {"deposit", "withdrawal", "interest", "borrow", "dp_charges", "dividend", "withholding"}
    assert {
        trade.symbol for name in BOTH for trade in naive_portfolios[name].trades if trade.kind == "split"
    } == {"AAPL"}
    assert any(trade.kind == "reversal" for trade in naive_portfolios[INDIA].trades)
    assert any(trade.currency == "USD" for trade in naive_portfolios[INDIA].trades)
    assert month.approved
    assert month.denied
    assert [len(month.closes[name]) for name in BOTH] == [20, 22]


@pytest.mark.parametrize("name", BOTH)
def test_every_close_equals_the_naive_computation(month, naive_portfolios, name):
    with month.service.open_connection() as connection:
        stored = connection.execute(
            text(
                "SELECT s.* FROM equity_snapshots s JOIN portfolios p ON p.tenant_id = s.tenant_id"
                " AND p.id = s.portfolio_id WHERE p.tenant_id = :id AND p.name = :name"
                " AND s.kind IN ('close', 'flow') ORDER BY s.at"
            ),
            {"id": month.api.tenant_id, "name": name},
        ).all()
    assert len(stored) == len(month.closes[name]) + len(month.flows[name])
    for row in stored:
        at = row.at if isinstance(row.at, datetime) else datetime.fromisoformat(row.at)
        figures = Figures(
            *(Decimal(getattr(row, column)) for column in ("cash", "equity", "flows", "charges"))
        )
        assert figures == naive_portfolios[name].figures(at), at


@pytest.mark.parametrize("name", BOTH)
def test_portfolio_now_equals_the_naive_computation(month, naive_portfolios, name):
    body, now = month.api.get_portfolio(name), month.clock.at
    figures, last = naive_portfolios[name].figures(now), month.closes[name][-1]
    assert Decimal(body["cash"]) == figures.cash
    assert Decimal(body["equity"]) == figures.equity
    assert Decimal(body["charges"]) == figures.charges
    assert Decimal(body["day_pnl"]) == compute_day_pnl(naive_portfolios[name], last, now)
    assert Decimal(body["total_pnl"]) == compute_day_pnl(naive_portfolios[name], None, now)


@pytest.mark.parametrize("name", BOTH)
def test_causes_of_each_day_equal_the_naive_computation(month, naive_portfolios, name):
    portfolio = naive_portfolios[name]
    for end in month.closes[name]:
        start = get_previous_figures(month, name, end)
        response = month.api.get("/pnl/explain", date=end.date().isoformat(), portfolio=name)
        (body,) = month.assert_ok(response)["items"]
        parts = {part: Decimal(body[part]) for part in ("price", "currency", "carry", "fees", "adjustments")}
        total = compute_day_pnl(portfolio, start, end)
        assert Decimal(body["day_pnl"]) == sum(parts.values()) == total
        charged = portfolio.figures(end).charges - (portfolio.figures(start).charges if start else 0)
        carry = portfolio.sum_movements({"interest", "borrow", "dividend", "withholding"}, start, end)
        currency = portfolio.explain_currency(start, end)
        assert parts == {
            "price": total - currency - carry + charged,
            "currency": currency,
            "carry": carry,
            "fees": -charged,
            "adjustments": 0,
        }


def test_charges_of_the_month_equal_executions_and_daily_statistics(month, naive_portfolios):
    days = month.assert_ok(month.api.get("/daily-stats"))
    for name in BOTH:
        of_trades = sum(Decimal(trade.charges) for trade in naive_portfolios[name].trades)
        of_days = sum(Decimal(day["charges"]) for day in days if day["portfolio_name"] == name)
        assert of_days == of_trades
    profit = month.assert_ok(month.api.get("/pnl"))
    assert {item["key"]: Decimal(item["charges"]) for item in profit["items"]} == {
        name: sum(Decimal(trade.charges) for trade in naive_portfolios[name].trades) for name in BOTH
    }
    assert profit["total"]["rates"][0]["age_seconds"] >= 0


@pytest.mark.parametrize("name", BOTH)
def test_interest_of_each_day_equals_the_naive_computation(month, naive_portfolios, name):
    portfolio, closes = naive_portfolios[name], month.closes[name]
    for start, end in pairwise(closes):
        cash, length = portfolio.figures(start).cash, (end.date() - start.date()).days
        days = [start.date() + timedelta(days=number) for number in range(1, length + 1)]
        changed = date(2026, 10, 14)
        rates = ["2.5" if cash > 0 else "11.25" if day >= changed else "9" for day in days]
        amount = (cash * sum(map(Decimal, rates)) / 36500).quantize(Decimal("0.00000001"))
        booked = [
            Decimal(movement.amount) for movement in portfolio.movements
            if (movement.kind, movement.day) == ("interest", end.date().isoformat())
        ]  # fmt: skip
        assert booked == [amount]


@pytest.mark.parametrize("name", BOTH)
def test_dividends_equal_the_naive_computation(month, naive_portfolios, name):
    portfolio = naive_portfolios[name]
    booked = {}
    for movement in portfolio.movements:
        if movement.kind in {"dividend", "withholding"}:
            booked[movement.symbol, movement.kind] = Decimal(movement.amount)
    expected = {}
    for day, terms in ACTIONS.items():
        at = datetime.combine(day, time(4, 30), UTC)
        quantity = portfolio.quantity(terms["symbol"], at) if terms["kind"] == "dividend" else Decimal(0)
        if not quantity:
            continue
        rate = Decimal(1)
        if terms["currency"] != portfolio.currency:
            rate = month.quotes.mark(f"{terms['currency']}/{portfolio.currency}", at)
        gross = multiply(multiply(quantity, Decimal(terms["amount"])), rate)
        expected[terms["symbol"], "dividend"] = gross
        if quantity > 0:
            share = Decimal(terms["withholding_percent"]) / 100
            expected[terms["symbol"], "withholding"] = -multiply(gross, share)
    assert booked == expected


@pytest.mark.parametrize("name", BOTH)
def test_performance_equals_the_naive_computation(month, naive_portfolios, name):
    portfolio = naive_portfolios[name]
    instants = [(at, True) for at in month.closes[name]] + [(at, False) for at in month.flows[name]]
    start = Figures(portfolio.opening_cash, portfolio.opening_cash, Decimal(0), Decimal(0))
    points = [(start, True), *((portfolio.figures(at), is_close) for at, is_close in sorted(instants))]
    points.append((portfolio.figures(month.clock.at), False))
    body = month.assert_ok(month.api.get(f"/portfolio/{name}/performance"))
    expected = compute_performance(points)
    drawdown = body["max_drawdown"]["share"]
    statistics = {statistic: float(body[statistic]) for statistic in expected if statistic != "max_drawdown"}
    assert statistics | {"max_drawdown": float(drawdown)} == pytest.approx(expected, abs=1e-7)


def test_days_are_signed_off_with_the_naive_figures(month, naive_portfolios):
    for day in ("2026-10-01", "2026-10-20", "2026-10-29"):
        signed = month.assert_ok(month.api.post(f"/day-close/{day}", {}))
        expected = [name for name in BOTH if any(str(at.date()) == day for at in month.closes[name])]
        assert sorted(row["portfolio_name"] for row in signed["figures"]) == sorted(expected)
        for figure in signed["figures"]:
            end = datetime.fromisoformat(figure["to"])
            portfolio = naive_portfolios[figure["portfolio_name"]]
            figures = portfolio.figures(end)
            assert (Decimal(figure["cash"]), Decimal(figure["equity"])) == (figures.cash, figures.equity)
            start = get_previous_figures(month, figure["portfolio_name"], end)
            assert Decimal(figure["day_pnl"]) == compute_day_pnl(portfolio, start, end)


def test_books_of_the_month_are_verified(month):
    engine = connect_engine(month.service.database_url)
    assert verify_database(engine).is_clean
    engine.dispose()
