"""Commands that the writer's handler processes in one transaction."""

from decimal import Decimal

import pytest
from sqlalchemy import text

from app.clock import utc_now
from app.database import unit_of_work
from app.ledger.errors import KeyReused, StalePortfolioIds
from app.ledger.rules.accounting import Side
from app.ledger.rules.chain import hash_request
from app.ledger.rules.tickets import compute_trade_value
from app.ledger.service.batch_handler import LedgerBatchHandler
from app.ledger.service.commands import CommandOrigin, RecordedTrade, RecordTrade
from app.text import name_key


def build_record_trade(portfolio_name: str, key: str | None = None) -> RecordTrade:
    origin = CommandOrigin(1, "tests", None, utc_now(), key, hash_request(portfolio_name) if key else None)
    valued = compute_trade_value(Decimal(1), Decimal(10), None)
    return RecordTrade(origin, "AAPL", "", Side.BUY, valued, portfolio_name, name_key(portfolio_name), None)


def test_key_used_for_two_new_portfolios_in_one_batch_creates_one(engine):
    with unit_of_work(engine) as connection:
        first, second = (
            LedgerBatchHandler()
            .handle(connection, [build_record_trade("One", "k"), build_record_trade("Two", "k")])
            .outcomes
        )
    assert isinstance(first, RecordedTrade)
    assert isinstance(second, KeyReused)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT name FROM portfolios")).scalars().all() == ["One"]


def test_duplicate_requests_in_one_batch_are_recorded_once(engine):
    with unit_of_work(engine) as connection:
        first, second = (
            LedgerBatchHandler()
            .handle(connection, [build_record_trade("One", "k"), build_record_trade("One", "k")])
            .outcomes
        )
    assert isinstance(first, RecordedTrade)
    assert second == first._replace(is_replayed=True)


def test_portfolio_id_changed_by_a_restore_is_looked_up_again(engine):
    recording = LedgerBatchHandler()
    for _ in range(2):  # the second time the names are cached
        with unit_of_work(engine) as connection:
            recording.handle(connection, [build_record_trade("One"), build_record_trade("Two")])
    with unit_of_work(engine) as connection:
        for name_from, name_to in (("one", "x"), ("two", "one"), ("x", "two")):
            connection.execute(
                text("UPDATE portfolios SET name_key = :to WHERE name_key = :from"),
                {"from": name_from, "to": name_to},
            )
    with pytest.raises(StalePortfolioIds), unit_of_work(engine) as connection:
        recording.handle(connection, [build_record_trade("One")])
    with unit_of_work(engine) as connection:
        (outcome,) = recording.handle(connection, [build_record_trade("One")]).outcomes
        row = connection.execute(text("SELECT id FROM portfolios WHERE name_key = 'one'")).scalar_one()
    assert isinstance(outcome, RecordedTrade)
    assert outcome.row.portfolio_id == row
