"""`python seed_data.py`: a lively demo desk, once."""

import time
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

import seed_data as command
from app.database import snapshot
from app.ledger.queries import audit
from app.verify import verify_database
from tests.factories import BOOTSTRAP_KEY, JWT_KEYS, NOON


@pytest.fixture
def configured(database_url, monkeypatch) -> None:
    monkeypatch.setenv("OMS_API_KEY", BOOTSTRAP_KEY)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.delenv("ENVIRONMENT", raising=False)


def test_a_desk_of_several_portfolios_and_people_comes_to_life(configured, engine, capsys):
    started = time.perf_counter()
    assert command.main() == command.DONE
    assert time.perf_counter() - started < 5
    with snapshot(engine) as connection:
        rows = list(audit.ledger_rows(connection))
        names = {row.name for row in audit.portfolio_rows(connection)}
    assert names == {"Growth", "Tech Portfolio", "Income", "Macro Hedge", "Crypto"}
    assert len(rows) > 300
    assert {row.user_id for row in rows if row.kind == "trade"} == set(command.PEOPLE)
    assert [row.kind for row in rows].count("reversal") == 1
    assert verify_database(engine).clean


def test_again_adds_nothing_whatever_the_day(configured, engine, capsys):
    first = command.seed(engine, NOON)
    assert command.seed(engine, NOON.replace(month=12)) == (0, first[1])
    assert first[0] == first[1]
    assert command.main() == command.DONE
    assert capsys.readouterr().out.startswith(f"0 of {first[1]} demo trades are new")


def test_positions_go_long_short_and_through_zero(configured, engine):
    command.seed(engine, NOON)
    with snapshot(engine) as connection:
        rows = [row for row in audit.ledger_rows(connection) if row.kind == "trade"]
    after = [(float(row.position_quantity), float(row.quantity_delta)) for row in rows]
    assert any(held < 0 for held, _ in after)
    assert any(held == 0 for held, _ in after)
    assert any(held * (held - change) < 0 for held, change in after), "none went through zero"
    assert any(abs(held) < abs(held - change) and held * (held - change) > 0 for held, change in after)


def test_trades_stand_in_the_sessions_before_today(configured):
    now = datetime(2026, 11, 23, 9, tzinfo=UTC)  # a Monday morning
    instants = [deal.at for deal in command.deals(now)]
    assert instants == sorted(instants)
    assert max(instants) < now
    assert {at.weekday() for at in instants} == {0, 1, 2, 3, 4}
    assert all((14, 30) <= (at.hour, at.minute) <= (21, 0) for at in instants)


def test_prices_stay_near_where_they_began(configured):
    begins = {(style.name, line.symbol): line.price for style in command.DESK for line in style.lines}
    for deal in command.deals(NOON):
        assert 0.7 < deal.price / begins[deal.portfolio, deal.symbol] < 1.4


def test_trades_that_stood_before_are_kept(configured, desk, engine):
    command.seed(engine, NOON)
    with engine.connect() as connection:
        count = connection.execute(text("SELECT count(*) FROM trades")).scalar_one()
    assert command.seed(engine, NOON) == (0, count)


def test_production_is_refused(configured, monkeypatch, engine, capsys):
    monkeypatch.setenv("ENVIRONMENT", "production")
    monkeypatch.setenv("JWT_KEYS", JWT_KEYS)
    assert command.main() == command.REFUSED
    assert "production" in capsys.readouterr().err
    with snapshot(engine) as connection:
        assert not list(audit.ledger_rows(connection))


def test_without_tables_or_settings_it_says_so(new_database, backend, monkeypatch, capsys):
    monkeypatch.setenv("OMS_API_KEY", BOOTSTRAP_KEY)
    monkeypatch.setenv("DATABASE_URL", new_database(backend, migrated=False))
    assert command.main() == command.CANNOT
    assert "python -m app.migrate" in capsys.readouterr().err
    monkeypatch.setenv("OMS_API_KEY", "short")
    assert command.main() == command.CANNOT
    monkeypatch.setenv("OMS_API_KEY", BOOTSTRAP_KEY)
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/oms")
    assert command.main() == command.CANNOT
