"""`python seed_data.py` fills a demo tenant, once."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from sqlalchemy import text

import seed_data as command
import seed_month
from app.database import snapshot, unit_of_work
from app.instruments.queries import load_instruments, set_terms
from app.instruments.rules import Instrument, InstrumentKey
from app.ledger.queries import audit
from app.risk.queries.limits import find_limit
from app.risk.rules.limits import LimitCode, LimitScope, RiskLimit
from app.risk.service.limit_store import set_limit
from app.timestamps import format_timestamp
from app.verify import verify_database
from seed_orders import seed_orders
from tests.factories import BOOTSTRAP_KEY, JWT_KEYS, NOON
from tests.support.service import build_settings


@pytest.fixture
def configured_database(database_url, monkeypatch) -> None:
    monkeypatch.setenv("OMS_API_KEY", BOOTSTRAP_KEY)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.delenv("ENVIRONMENT", raising=False)
    monkeypatch.setattr(command, "seed_month", lambda *_: 0)  # takes seconds; a test of its own covers it


def test_seed_creates_portfolios_users_and_trades(configured_database, engine, capsys):
    assert command.main() == command.DONE
    with snapshot(engine) as connection:
        rows = list(audit.iterate_ledger_rows(connection))
        names = {row.name for row in audit.iterate_portfolio_rows(connection)}
    assert names == {"Growth", "Tech Portfolio", "Income", "Macro Hedge", "Crypto", "Swing"}
    assert len(rows) > 300
    assert {row.user_id for row in rows if row.kind == "trade"} == set(command.PEOPLE)
    assert [row.kind for row in rows].count("reversal") == 1
    assert verify_database(engine).is_clean


@pytest.mark.any_database
def test_month_has_orders_of_each_status_on_two_markets(engine, database_url):
    settings = build_settings(database_url, environment="development", jwt_keys=None)
    seed_orders(engine, settings, NOON)  # lists the instruments, whose exchanges define the charges
    assert seed_month.seed_month(engine, settings, NOON) > 50
    with engine.connect() as connection:
        statuses = set(connection.execute(text("SELECT DISTINCT status FROM orders")).scalars())
        kinds = set(connection.execute(text("SELECT DISTINCT kind FROM cash_movements")).scalars())
        ledger_kinds = set(connection.execute(text("SELECT DISTINCT kind FROM trades")).scalars())
        names = "SELECT p.name, count(*) FROM equity_snapshots s JOIN portfolios p ON p.id = s.portfolio_id"
        closes = dict(connection.execute(text(f"{names} WHERE s.kind = 'close' GROUP BY p.name")).all())
        halted = connection.execute(text("SELECT name FROM kill_switches WHERE state = 'HALTED'")).scalars()
        assert set(halted) == {seed_month.PAUSED, "mean-reversion"}
        charged = connection.execute(text("SELECT count(*) FROM executions WHERE charges IS NOT NULL"))
        assert charged.scalar_one() > 20
    assert statuses == {
        *("FILLED", "ACCEPTED", "HELD", "PARTIALLY_FILLED", "TRIGGERED", "AWAITING_APPROVAL"),
        *("CANCELED", "REPLACED", "EXPIRED", "DENIED", "REJECTED"),
    }
    assert kinds >= {"deposit", "withdrawal", "interest", "dividend", "withholding"}
    assert ledger_kinds >= {"trade", "split"}
    assert min(closes[name] for name in (seed_month.US, seed_month.INDIA)) >= 18
    assert verify_database(engine).is_clean
    assert seed_month.seed_month(engine, settings, NOON) == 0


@pytest.mark.any_database
def test_repeated_seed_adds_nothing_on_any_day(configured_database, engine, capsys):
    first = command.seed_trades(engine, NOON)
    assert command.seed_trades(engine, NOON.replace(month=12)) == (0, first[1])
    assert first[0] == first[1]
    assert command.main() == command.DONE
    assert capsys.readouterr().out.startswith(f"0 of {first[1]} demo trades are new")
    assert command.main() == command.DONE
    assert "0 orders in Swing, 0 instruments, 0 limits" in capsys.readouterr().out


@pytest.mark.any_database
@pytest.mark.parametrize("price_source", ["simulated", "manual"])
def test_seed_creates_working_and_closed_orders_of_several_types(
    configured_database, engine, monkeypatch, price_source, capsys
):
    monkeypatch.setenv("PRICE_SOURCE", price_source)
    assert command.main() == command.DONE
    with engine.connect() as connection:
        query = "SELECT client_order_id, type, status, role, denial FROM orders"
        rows = connection.execute(text(query)).all()
        limits = connection.execute(text("SELECT count(*) FROM limits")).scalar_one()
        instruments = connection.execute(text("SELECT count(*) FROM instruments")).scalar_one()
    ends = {row.client_order_id: row.status for row in rows if row.client_order_id.startswith("seed-data-")}
    assert ends == {
        **dict.fromkeys(("seed-data-bought", "seed-data-bought-more", "seed-data-bracket"), "FILLED"),
        **dict.fromkeys(("seed-data-either-target", "seed-data-either-stop", "seed-data-trail"), "ACCEPTED"),
        **dict.fromkeys(("seed-data-dip", "seed-data-breakout", "seed-data-month"), "ACCEPTED"),
        "seed-data-cancelled": "CANCELED",
        "seed-data-rejected": "REJECTED",
        "seed-data-too-many": "DENIED",
    }
    assert sorted(row.role for row in rows if row.role in {"take_profit", "stop_loss"}) == (
        ["stop_loss"] * 2 + ["take_profit"] * 2
    )
    assert ["MAX_ORDER_QUANTITY" in row.denial for row in rows if row.denial] == [True]
    assert (limits, instruments) == (4, 12)
    assert verify_database(engine).is_clean


@pytest.mark.any_database
def test_seed_keeps_existing_instruments_and_limits(configured_database, engine):
    terms = Instrument("TCS", tick_size=Decimal(1), lot_size=Decimal(5))
    kept_limit = RiskLimit(LimitScope.PORTFOLIO, "swing", "Swing", LimitCode.MAX_OPEN_ORDERS, Decimal(60))
    with unit_of_work(engine) as connection:
        set_terms(connection, 1, terms, NOON)
        set_limit(connection, 1, kept_limit._replace(set_by="somebody", set_at=format_timestamp(NOON)))
    assert command.main() == command.DONE
    with engine.connect() as connection:
        key = InstrumentKey(1, "TCS")
        assert load_instruments(connection, [key])[key].lot_size == 5
        limit = find_limit(connection, 1, kept_limit)
    assert limit
    assert (limit.value, limit.set_by) == (Decimal(60), "somebody")


def test_seeded_positions_go_long_short_and_through_zero(configured_database, engine):
    command.seed_trades(engine, NOON)
    with snapshot(engine) as connection:
        rows = [row for row in audit.iterate_ledger_rows(connection) if row.kind == "trade"]
    after = [(float(row.position_quantity), float(row.quantity_delta)) for row in rows]
    assert any(quantity < 0 for quantity, _ in after)
    assert any(quantity == 0 for quantity, _ in after)
    assert any(quantity * (quantity - change) < 0 for quantity, change in after), "none went through zero"
    assert any(
        abs(quantity) < abs(quantity - change) and quantity * (quantity - change) > 0
        for quantity, change in after
    )


def test_seeded_trades_are_in_the_sessions_before_today(configured_database):
    now = datetime(2026, 11, 23, 9, tzinfo=UTC)  # a Monday morning
    instants = [deal.at for deal in command.build_deals(now)]
    assert instants == sorted(instants)
    assert max(instants) < now
    assert {at.weekday() for at in instants} == {0, 1, 2, 3, 4}
    assert all((14, 30) <= (at.hour, at.minute) <= (21, 0) for at in instants)


def test_seeded_prices_stay_near_their_start(configured_database):
    begins = {(style.name, line.symbol): line.price for style in command.DESK for line in style.lines}
    for deal in command.build_deals(NOON):
        assert 0.7 < deal.price / begins[deal.portfolio, deal.symbol] < 1.4


def test_seed_keeps_existing_trades(configured_database, api, engine):
    command.seed_trades(engine, NOON)
    with engine.connect() as connection:
        count = connection.execute(text("SELECT count(*) FROM trades")).scalar_one()
    assert command.seed_trades(engine, NOON) == (0, count)


def test_seed_is_rejected_in_production(configured_database, monkeypatch, engine, capsys):
    monkeypatch.setenv("ENVIRONMENT", "production")
    monkeypatch.setenv("JWT_KEYS", JWT_KEYS)
    assert command.main() == command.REFUSED
    assert "production" in capsys.readouterr().err
    with snapshot(engine) as connection:
        assert not list(audit.iterate_ledger_rows(connection))


def test_missing_tables_or_settings_are_reported(new_database, backend, monkeypatch, capsys):
    monkeypatch.setenv("OMS_API_KEY", BOOTSTRAP_KEY)
    monkeypatch.setenv("DATABASE_URL", new_database(backend, migrated=False))
    assert command.main() == command.CANNOT
    assert "python -m app.migrate" in capsys.readouterr().err
    monkeypatch.setenv("OMS_API_KEY", "short")
    assert command.main() == command.CANNOT
    monkeypatch.setenv("OMS_API_KEY", BOOTSTRAP_KEY)
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/oms")
    assert command.main() == command.CANNOT
