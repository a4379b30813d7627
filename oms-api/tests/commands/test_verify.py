"""`python -m app.verify` reports nothing for an intact ledger, and finds and names every change of it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import pytest
from sqlalchemy import Engine, text

from app import verify as command
from app.database import connect_engine
from app.ledger.rules.chain import COLUMNS, TradeRow
from app.ledger.rules.projections import PortfolioProjection, PositionProjection
from app.ledger.rules.verification import LedgerCheck
from app.ledger.service.verification import Discrepancy, VerificationResult, verify_ledger
from tests.commands.histories import (
    alter_row,
    connect_without_guards,
    forge_chain,
    record_history,
    remove_rows,
)
from tests.factories import BOOTSTRAP_KEY


@dataclass(frozen=True)
class LedgerState:
    """A database with a history."""

    engine: Engine
    url: str
    rows: list[TradeRow]

    @property
    def trade(self) -> TradeRow:
        """A trade in the middle of its book, with a key, that no reversal names."""
        undone = {row.reverses for row in self.rows}
        trades = [row for row in self.rows if row.kind == "trade" and row.idempotency_key]
        return next(row for row in trades if row.trade_id not in undone and row.sequence > 10)

    @property
    def reversal(self) -> TradeRow:
        """A reversal."""
        return next(row for row in self.rows if row.kind == "reversal")

    def after(self, row: TradeRow) -> TradeRow:
        """Return the row that follows in the same book."""
        place = (row.portfolio_id, row.sequence + 1)
        return next(other for other in self.rows if (other.portfolio_id, other.sequence) == place)


@pytest.fixture(scope="module")
def ledger_state(backend: str, new_database: Callable[..., str]) -> Iterator[LedgerState]:
    url = new_database(backend)
    engine = connect_engine(url)
    yield LedgerState(engine, url, record_history(engine, seed=1))
    engine.dispose()


def get_only_discrepancy(result: VerificationResult) -> Discrepancy:
    assert result.first is not None, "nothing was found"
    return result.first


def list_checks(result: VerificationResult) -> set[StrEnum]:
    return {finding.check for finding in get_only_discrepancy(result).findings}


@pytest.mark.parametrize("seed", range(2, 4))
def test_random_history_with_reversals_has_no_findings(engine, seed):
    rows = record_history(engine, seed)
    result = command.verify_database(engine)
    assert result.is_clean, result.first
    assert result.checked[LedgerCheck.CHAIN] == result.checked[LedgerCheck.EVENT] == len(rows)
    assert result.checked[LedgerCheck.REVERSAL] > 10


def test_empty_database_has_no_findings(engine):
    assert command.verify_database(engine).is_clean


CHANGED = {
    "trade_id": "'T17637264000000000ffffffff'", "kind": "'reversal', reverses = 'T0'", "symbol": "'MSFT'",
    "product": "'MIS'", "user_id": "'U2'", "source": "'somebody'", "order_id": "'O1'",
    "note": "'Nothing to see'",
    "idempotency_key": "'another'", "request_hash": f"'{'0' * 64}'", "hash_version": "5", "currency": "'XXX'",
    "hash": f"'{'f' * 64}'",
    "executed_at": "'2026-11-19T12:00:00.000000Z'", "created_at": "'2026-11-19T12:00:00.000000Z'",
    "trades_after": "1000", "buys_after": "0", "sequence": "1000", "actor": "'slack:T1:U1'",
}  # fmt: skip
ELSEWHERE = {"tenant_id", "portfolio_id", "reverses", "side"}  # have tests of their own below


@pytest.mark.parametrize("column", [name for name in COLUMNS if name not in ELSEWHERE])
@pytest.mark.any_database
def test_changed_column_breaks_the_hash_chain_at_its_row(ledger_state, column):
    with connect_without_guards(ledger_state.engine) as connection:
        alter_row(connection, ledger_state.trade, **{column: CHANGED.get(column, "'7.77000000'")})
        result = verify_ledger(connection)
    assert LedgerCheck.CHAIN in list_checks(result)
    changed_row = ledger_state.after(ledger_state.trade) if column == "sequence" else ledger_state.trade
    if column != "trade_id":
        assert changed_row.trade_id in get_only_discrepancy(result).location
    assert f"sequence {changed_row.sequence}" in get_only_discrepancy(result).location
    assert "portfolio" in get_only_discrepancy(result).location


FORGED = [
    ("created_at", "'2020-01-01T00:00:00.000000Z'", LedgerCheck.TIME),
    ("trade_id", "'T00000000000000000ffffffff'", LedgerCheck.TRADE_ID),
    ("quantity", "'7.77000000'", LedgerCheck.VALUE),
    ("price", "'7.77000000'", LedgerCheck.VALUE),
    ("gmv", "'7.77000000'", LedgerCheck.POSITION),
    ("charges", "'7.77000000'", LedgerCheck.CASH),
    ("cash_delta", "'7.77000000'", LedgerCheck.CASH),
    ("cash_after", "'7.77000000'", LedgerCheck.CASH),
    ("realized_pnl", "'7.77000000'", LedgerCheck.POSITION),
    ("quantity_delta", "'7.77000000'", LedgerCheck.POSITION),
    ("cost_delta", "'7.77000000'", LedgerCheck.POSITION),
    ("position_quantity", "'7.77000000'", LedgerCheck.POSITION),
    ("position_cost", "'7.77000000'", LedgerCheck.POSITION),
    ("position_realized_pnl", "'7.77000000'", LedgerCheck.POSITION),
    ("portfolio_realized_pnl", "'7.77000000'", LedgerCheck.COUNTERS),
    ("trades_after", "1000", LedgerCheck.COUNTERS),
    ("buys_after", "0", LedgerCheck.COUNTERS),
    ("symbol", "'MSFT'", LedgerCheck.POSITION),
    ("product", "'MIS'", LedgerCheck.POSITION),
    ("side", "CASE side WHEN 'BUY' THEN 'SELL' ELSE 'BUY' END", LedgerCheck.POSITION),
    ("request_hash", "'short'", LedgerCheck.KEY),
    ("hash_version", "5", LedgerCheck.CHAIN),
    ("hash_version", "3, backdated_reason = 'Late'", LedgerCheck.CHAIN),
    ("executed_at", "'2036-01-01T00:00:00.000000Z'", LedgerCheck.TIME),
    ("hash_version", "2, currency = 'USD'", LedgerCheck.CHAIN),
    ("hash_version", "1, actor = 'slack:T1:U1'", LedgerCheck.CHAIN),
    ("cost_delta", "'NaN'", LedgerCheck.FORM),
]


@pytest.mark.parametrize(("column", "literal", "check"), FORGED)
@pytest.mark.any_database
def test_tampering_with_a_repaired_chain_is_detected_by_the_accounting(ledger_state, column, literal, check):
    with connect_without_guards(ledger_state.engine) as connection:
        alter_row(connection, ledger_state.trade, **{column: literal})
        forge_chain(connection, ledger_state.trade.portfolio_id)
        result = verify_ledger(connection)
    assert check in list_checks(result)
    assert f"sequence {ledger_state.trade.sequence}" in get_only_discrepancy(result).location


@pytest.mark.parametrize(
    ("column", "literal"),
    [
        ("quantity", "'7.77000000'"),
        ("price", "'7.77000000'"),
        ("gmv", "'7.77000000'"),
        ("charges", "'7.77000000'"),
        ("symbol", "'MSFT'"),
        ("product", "'MIS'"),
        ("side", "CASE side WHEN 'BUY' THEN 'SELL' ELSE 'BUY' END"),
        ("reverses", "'T0'"),
    ],
)
@pytest.mark.any_database
def test_reversal_that_does_not_mirror_its_trade_is_reported(ledger_state, column, literal):
    with connect_without_guards(ledger_state.engine) as connection:
        alter_row(connection, ledger_state.reversal, **{column: literal})
        forge_chain(connection, ledger_state.reversal.portfolio_id)
        result = verify_ledger(connection)
    assert LedgerCheck.REVERSAL in list_checks(result)
    assert ledger_state.reversal.trade_id in get_only_discrepancy(result).location


@pytest.mark.parametrize(
    "column", ["position_quantity", "position_cost", "position_realized_pnl", "cash_delta"]
)
@pytest.mark.any_database
def test_reversal_result_must_equal_a_replay_without_its_trade(ledger_state, column):
    with connect_without_guards(ledger_state.engine) as connection:
        alter_row(connection, ledger_state.reversal, **{column: "'7.77000000'"})
        forge_chain(connection, ledger_state.reversal.portfolio_id)
        result = verify_ledger(connection)
    assert list_checks(result) & {LedgerCheck.POSITION, LedgerCheck.CASH}
    assert ledger_state.reversal.trade_id in get_only_discrepancy(result).location


@pytest.mark.any_database
def test_reversal_of_a_later_trade_is_reported(ledger_state):
    later = next(
        row
        for row in reversed(ledger_state.rows)
        if row.kind == "trade" and row.portfolio_id == ledger_state.reversal.portfolio_id
    )
    with connect_without_guards(ledger_state.engine) as connection:
        remove_rows(connection, reverses=later.trade_id)
        alter_row(connection, ledger_state.reversal, reverses=f"'{later.trade_id}'")
        result = verify_ledger(connection)
    assert LedgerCheck.REVERSAL in list_checks(result)


@pytest.mark.any_database
def test_trade_reversed_twice_is_reported(ledger_state):
    first, second = [row for row in ledger_state.rows if row.kind == "reversal"][:2]
    with connect_without_guards(ledger_state.engine) as connection:
        connection.execute(text("DROP INDEX uq_trades_tenant_id_reverses"))
        alter_row(connection, second, reverses=f"'{first.reverses}'")
        result = verify_ledger(connection)
    assert LedgerCheck.REVERSAL in list_checks(result)
    assert second.trade_id in get_only_discrepancy(result).location


@pytest.mark.any_database
def test_deleted_row_is_reported_at_the_next_row(ledger_state):
    with connect_without_guards(ledger_state.engine) as connection:
        remove_rows(connection, trade_id=ledger_state.trade.trade_id)
        result = verify_ledger(connection)
    assert {LedgerCheck.SEQUENCE, LedgerCheck.CHAIN} <= list_checks(result)
    assert ledger_state.after(ledger_state.trade).trade_id in get_only_discrepancy(result).location
    assert result.failed[LedgerCheck.EVENT]


@pytest.mark.any_database
def test_deleted_last_row_is_reported_by_the_projections(ledger_state):
    last = max(ledger_state.rows, key=lambda row: (row.portfolio_id, row.sequence))
    with connect_without_guards(ledger_state.engine) as connection:
        remove_rows(connection, trade_id=last.trade_id)
        result = verify_ledger(connection)
    assert list_checks(result) == {LedgerCheck.PORTFOLIO}
    assert result.failed[LedgerCheck.EVENT] == 1


@pytest.mark.any_database
def test_row_of_another_tenants_portfolio_is_reported(ledger_state):
    with connect_without_guards(ledger_state.engine) as connection:
        alter_row(connection, ledger_state.trade, tenant_id="2")
        result = verify_ledger(connection)
    assert result.failed[LedgerCheck.TENANT] == 1
    assert ledger_state.trade.trade_id in result.first_of[LedgerCheck.TENANT]


@pytest.mark.any_database
def test_row_moved_to_another_portfolio_is_reported(ledger_state):
    elsewhere = next(
        row.portfolio_id for row in ledger_state.rows if row.portfolio_id != ledger_state.trade.portfolio_id
    )
    with connect_without_guards(ledger_state.engine) as connection:
        alter_row(connection, ledger_state.trade, portfolio_id=str(elsewhere), sequence="1000")
        result = verify_ledger(connection)
    assert LedgerCheck.SEQUENCE in list_checks(result)
    assert (
        ledger_state.trade.trade_id in result.first_of[LedgerCheck.VALUE]
        if result.failed[LedgerCheck.VALUE]
        else True
    )
    assert result.failed[LedgerCheck.SEQUENCE] == 2


PROJECTED = {
    "cash": "'7.77000000'", "realized_pnl": "'7.77000000'", "total_buys": "0",
    "total_trades": "0, total_buys = 0",
    "last_sequence": "1000", "last_hash": f"'{'f' * 64}'", "last_trade_id": "NULL", "last_created_at": "NULL",
    "moved_cash": "'7.77000000'", "cash_sequence": "1000", "cash_hash": f"'{'f' * 64}'",
}  # fmt: skip


@pytest.mark.parametrize("column", PortfolioProjection._fields[5:])
@pytest.mark.any_database
def test_tampered_portfolio_projection_is_reported(ledger_state, column):
    with connect_without_guards(ledger_state.engine) as connection:
        connection.execute(
            text(f"UPDATE portfolios SET {column} = {PROJECTED[column]} WHERE name = 'Income'")  # noqa: S608  # literals of the tests
        )
        result = verify_ledger(connection)
    assert list_checks(result) == {LedgerCheck.PORTFOLIO}
    assert column in {finding.field for finding in get_only_discrepancy(result).findings}
    assert "'Income'" in get_only_discrepancy(result).location


@pytest.mark.any_database
def test_changed_opening_cash_is_reported_at_the_first_row(ledger_state):
    with connect_without_guards(ledger_state.engine) as connection:
        connection.execute(text("UPDATE portfolios SET opening_cash = '7.00000000' WHERE name = 'Growth'"))
        result = verify_ledger(connection)
    assert list_checks(result) == {LedgerCheck.CASH}
    assert "sequence 1" in get_only_discrepancy(result).location


TREASURIES = "symbol = 'TLT' AND portfolio_id = (SELECT min(id) FROM portfolios)"


LIED = {
    "last_sequence": "1000", "currency": "'XXX'",
    **dict.fromkeys(("opened_at", "closed_at", "last_executed_at"), "'2020-01-01T00:00:00.000000Z'"),
}  # fmt: skip


@pytest.mark.parametrize("column", PositionProjection._fields[4:])
@pytest.mark.any_database
def test_tampered_position_is_reported(ledger_state, column):
    with connect_without_guards(ledger_state.engine) as connection:
        literal = LIED.get(column, "'7.77000000'")
        connection.execute(
            text(f"UPDATE positions SET {column} = {literal} WHERE {TREASURIES}")  # noqa: S608  # literals of the tests
        )
        result = verify_ledger(connection)
    assert [(finding.check, finding.field) for finding in get_only_discrepancy(result).findings] == [
        (LedgerCheck.HOLDING, column)
    ]
    assert "position TLT" in get_only_discrepancy(result).location


GHOST = """
    INSERT INTO positions
        (tenant_id, portfolio_id, symbol, product, quantity, cost, realized_pnl, last_sequence)
    SELECT {tenant}, min(id), 'GHOST', '', 0.00000000, 0.00000000, 0.00000000, 1 FROM portfolios
"""


@pytest.mark.parametrize(
    "statement",
    [
        f"DELETE FROM positions WHERE {TREASURIES}",  # noqa: S608  # literals of the tests
        GHOST.format(tenant=1),
        GHOST.format(tenant=2),
    ],
)
@pytest.mark.any_database
def test_missing_or_extra_position_is_reported(ledger_state, statement):
    with connect_without_guards(ledger_state.engine) as connection:
        connection.execute(text(statement))
        result = verify_ledger(connection)
    assert list_checks(result) == {LedgerCheck.HOLDING}


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM events WHERE id = 7",
        "UPDATE events SET payload = '{}' WHERE id = 7",
        "UPDATE events SET payload = 'no JSON' WHERE id = 7",
        "UPDATE events SET payload = '[[]]' WHERE id = 7",
        "UPDATE events SET tenant_id = 2 WHERE id = 7",
        "UPDATE events SET type = 'trade.forgotten' WHERE id = 7",
        "UPDATE events SET created_at = '2020-01-01T00:00:00.000000Z' WHERE id = 7",
    ],
)
@pytest.mark.any_database
def test_row_without_its_event_is_reported(ledger_state, statement):
    with connect_without_guards(ledger_state.engine) as connection:
        connection.execute(text(statement))
        result = verify_ledger(connection)
    assert (
        LedgerCheck.EVENT in list_checks(result) <= {LedgerCheck.EVENT, LedgerCheck.POSITION_EVENT}
    )  # they share the row
    assert "trade T" in get_only_discrepancy(result).location


@pytest.mark.any_database
def test_duplicate_event_is_reported(ledger_state):
    copy = """
        INSERT INTO events (tenant_id, type, payload, created_at)
        SELECT tenant_id, type, payload, created_at FROM events WHERE id = 7
    """
    with connect_without_guards(ledger_state.engine) as connection:
        connection.execute(text(copy))
        result = verify_ledger(connection)
    assert list_checks(result) == {LedgerCheck.EVENT}
    assert "event " in get_only_discrepancy(result).location


def test_idempotency_key_of_two_rows_is_reported(new_database):
    engine = connect_engine(new_database("postgresql"))  # SQLite's own tables cannot lose a constraint
    rows = [row for row in record_history(engine, seed=1, batches=2) if row.idempotency_key]
    first = rows[0]
    last = [row for row in rows if (row.portfolio_id, row.kind) == (first.portfolio_id, first.kind)][-1]
    with connect_without_guards(engine) as connection:
        connection.execute(
            text("ALTER TABLE trades DROP CONSTRAINT uq_trades_idempotency_key_tenant_id_portfolio_id_kind")
        )
        alter_row(connection, last, idempotency_key=f"'{rows[0].idempotency_key}'")
        result = verify_ledger(connection)
    engine.dispose()
    assert last.trade_id in result.first_of[LedgerCheck.KEY]


@pytest.fixture
def configured_database(ledger_state, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", ledger_state.url)
    monkeypatch.setenv("OMS_API_KEY", BOOTSTRAP_KEY)
    return ledger_state


def test_command_prints_each_check_and_exits_with_0(configured_database, capsys):
    assert command.main() == command.CLEAN
    out = capsys.readouterr().out
    assert all(f"{check.value}: " in out for check in LedgerCheck)
    assert f"Clean: {len(configured_database.rows):,} rows" in out


def test_command_names_the_first_finding_and_exits_with_1(engine, database_url, monkeypatch, capsys):
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("OMS_API_KEY", BOOTSTRAP_KEY)
    record_history(engine, seed=1, batches=1)
    with engine.begin() as connection:
        connection.execute(text("UPDATE portfolios SET cash = '7.00000000' WHERE name = 'Growth'"))
    assert command.main() == command.LIES
    out = capsys.readouterr().out
    assert "FAILED 1" in out
    assert "The first finding: projections of portfolio 'Growth'" in out
    assert "portfolio: cash is 7.00000000, must be " in out


def test_missing_tables_or_settings_exit_with_2_and_a_message(new_database, backend, monkeypatch, capsys):
    monkeypatch.setenv("OMS_API_KEY", BOOTSTRAP_KEY)
    monkeypatch.setenv("DATABASE_URL", new_database(backend, migrated=False))
    assert command.main() == command.CANNOT
    assert "python -m app.migrate" in capsys.readouterr().err
    monkeypatch.setenv("OMS_API_KEY", "short")
    assert command.main() == command.CANNOT
    assert "OMS_API_KEY" in capsys.readouterr().err
