"""`python -m app.rebuild` computes the projections again from the ledger, whatever state they were in."""

import random
import threading

import pytest
from sqlalchemy import Engine, text

from app import rebuild as command
from app.command_line import CANNOT
from app.database import connect_engine, snapshot, unit_of_work
from app.ledger.queries import audit
from app.ledger.service.projection_rebuild import LedgerCorrupted, load_ledger_state, rebuild_portfolio
from app.verify import verify_database
from tests.commands.histories import alter_row, record_history
from tests.factories import BOOTSTRAP_KEY
from tests.support.conditions import WAIT_SECONDS

CORRUPTIONS = (
    "UPDATE portfolios SET cash = '{amount}' WHERE id = {id}",
    "UPDATE portfolios SET realized_pnl = '{amount}', total_buys = 0 WHERE id = {id}",
    "UPDATE portfolios SET total_trades = 1, total_buys = 1 WHERE id = {id}",
    "UPDATE portfolios SET last_sequence = 9999, last_hash = 'lost' WHERE id = {id}",
    "UPDATE portfolios SET moved_cash = '{amount}', cash_sequence = 5 WHERE id = {id}",
    "UPDATE portfolios SET last_trade_id = NULL, last_created_at = NULL WHERE id = {id}",
    "UPDATE positions SET quantity = '{amount}', last_sequence = 1 WHERE portfolio_id = {id}",
    "UPDATE positions SET cost = '{amount}', realized_pnl = '1.00000000' WHERE portfolio_id = {id}",
    "DELETE FROM positions WHERE portfolio_id = {id} AND symbol = 'AAPL'",
    "UPDATE positions SET opened_at = NULL, closed_at = NULL WHERE portfolio_id = {id}",
    "UPDATE positions SET last_executed_at = NULL WHERE portfolio_id = {id}",
    "UPDATE positions SET currency = 'XXX', local_cost = '{amount}' WHERE portfolio_id = {id}",
    "INSERT INTO positions VALUES "
    "(1, {id}, 'GHOST{ghost}', '', '{amount}', '{amount}', '0.00000000', 1, NULL, NULL, NULL, NULL, NULL)",
)


def read_projections(engine: Engine) -> tuple[list, list]:
    with snapshot(engine) as connection:
        return list(audit.iterate_portfolio_rows(connection)), sorted(audit.iterate_position_rows(connection))


def corrupt_projections(engine: Engine, dice: random.Random) -> None:
    with engine.begin() as connection:
        ids = sorted(connection.execute(text("SELECT id FROM portfolios")).scalars())
        for number, statement in enumerate(dice.choices(CORRUPTIONS, k=6)):
            amount = f"{dice.randrange(1, 9999)}.00000000"
            connection.execute(text(statement.format(amount=amount, id=dice.choice(ids), ghost=number)))


@pytest.mark.parametrize("seed", range(3))
def test_randomly_corrupted_projections_are_restored(engine, seed):
    record_history(engine, seed, batches=3)
    whole = read_projections(engine)
    corrupt_projections(engine, random.Random(seed))
    assert not verify_database(engine).is_clean
    assert command.rebuild_all(engine) == command.REBUILT
    assert read_projections(engine) == whole
    assert verify_database(engine).is_clean


def test_rebuild_reports_differences_and_none_the_second_time(engine, capsys):
    record_history(engine, seed=1, batches=2)
    with engine.begin() as connection:
        connection.execute(text("UPDATE portfolios SET cash = '7.00000000' WHERE name = 'Growth'"))
        connection.execute(text("DELETE FROM positions WHERE symbol = 'TLT'"))
    command.rebuild_all(engine)
    out = capsys.readouterr().out
    assert "'Growth', portfolio: cash was 7.00000000, is " in out
    assert "position TLT: position was none, is a row" in out
    command.rebuild_all(engine)
    assert capsys.readouterr().out.endswith(": 0 differed, 0 left alone.\n")


def test_trades_recorded_between_read_and_lock_are_included(engine):
    record_history(engine, seed=1, batches=2)
    with snapshot(engine) as connection:
        states = {key: load_ledger_state(connection, key) for key in audit.load_portfolio_keys(connection)}
    record_history(engine, seed=2, batches=2)
    whole = read_projections(engine)
    corrupt_projections(engine, random.Random(5))
    for key, state in states.items():
        with unit_of_work(engine) as connection:
            rebuild_portfolio(connection, key, state)
    assert read_projections(engine) == whole


def test_rebuild_is_safe_while_trades_are_recorded(engine, database_url):
    record_history(engine, seed=1, batches=2)
    patient = connect_engine(database_url, timeout_seconds=WAIT_SECONDS)  # for the locks of the rebuild
    failures: list[BaseException] = []

    def trade() -> None:
        try:
            record_history(patient, seed=2, batches=15)
        except BaseException as error:  # noqa: BLE001  # handed to the test's own thread
            failures.append(error)

    trader = threading.Thread(target=trade)
    trader.start()
    while trader.is_alive():
        assert command.rebuild_all(engine) == command.REBUILT
    trader.join()
    patient.dispose()
    assert not failures
    assert verify_database(engine).is_clean


def test_tampered_ledger_is_skipped_and_the_others_are_rebuilt(engine, capsys):
    rows = record_history(engine, seed=1, batches=2)
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.execute(text("DROP TRIGGER trades_refuse_update"))
        else:
            connection.execute(text("ALTER TABLE trades DISABLE TRIGGER USER"))
        victim = rows[0]
        alter_row(connection, victim, gmv="'7.00000000'")
        connection.execute(text("UPDATE portfolios SET cash = '7.00000000'"))
    with pytest.raises(LedgerCorrupted, match=victim.trade_id):
        command.rebuild_book(engine, victim.portfolio_key)
    assert command.rebuild_all(engine) == command.LIES
    assert victim.trade_id in capsys.readouterr().out
    cash = {row.id: row.cash for row in read_projections(engine)[0]}
    assert cash.pop(victim.portfolio_id) == "7.00000000"
    assert "7.00000000" not in cash.values()


def test_command_uses_the_configured_database(engine, database_url, monkeypatch, capsys):
    monkeypatch.setenv("OMS_API_KEY", BOOTSTRAP_KEY)
    monkeypatch.setenv("DATABASE_URL", database_url)
    rows = record_history(engine, seed=1, batches=1)
    assert command.main() == command.REBUILT
    assert f"3 portfolios of {len(rows)} rows: 0 differed" in capsys.readouterr().out


def test_missing_tables_or_settings_exit_with_2_and_a_message(new_database, backend, monkeypatch, capsys):
    monkeypatch.setenv("OMS_API_KEY", BOOTSTRAP_KEY)
    monkeypatch.setenv("DATABASE_URL", new_database(backend, migrated=False))
    assert command.main() == CANNOT
    assert "python -m app.migrate" in capsys.readouterr().err
    monkeypatch.setenv("OMS_API_KEY", "short")
    assert command.main() == CANNOT
