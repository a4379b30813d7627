"""Transactions with the same request key wait for each other. The second sees what the first recorded."""

import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from sqlalchemy import text

from app.clock import utc_now
from app.database import connect_engine
from app.ledger.rules.accounting import Side
from app.ledger.rules.chain import hash_request
from app.ledger.rules.tickets import compute_trade_value
from app.ledger.service.batch_handler import LedgerBatchHandler
from app.ledger.service.commands import CommandOrigin, RecordTrade

_WAITING = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")


@pytest.fixture
def engine(new_database):
    engine = connect_engine(new_database("postgresql"), tenant_scoped=True)
    yield engine
    engine.dispose()


def record_key(connection):
    origin = CommandOrigin(1, "tests", None, utc_now(), "key", hash_request("body"))
    trade = RecordTrade(
        origin, "AAPL", "", Side.BUY, compute_trade_value(Decimal(1), Decimal(10), None), "One", "one", None
    )
    (outcome,) = LedgerBatchHandler().handle(connection, [trade]).outcomes
    return outcome


@pytest.mark.parametrize("prepares", [True, False])
def test_waiting_transaction_returns_the_trade_of_the_other(engine, prepares):
    def repeat():
        with engine.connect().execution_options(prepares=prepares) as connection, connection.begin():
            return record_key(connection)

    with engine.connect() as first, engine.connect() as observer, ThreadPoolExecutor(1) as threads:
        recorded = record_key(first)
        waiting = threads.submit(repeat)
        while not observer.execute(_WAITING).scalar_one():
            assert not waiting.done()
            time.sleep(0.01)
        first.commit()
        assert waiting.result() == recorded._replace(is_replayed=True)
