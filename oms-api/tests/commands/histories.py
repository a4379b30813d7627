"""Ledgers with random trades and reversals, and functions that tamper with them."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import Connection, Engine, delete, inspect, text, update

from app.database import unit_of_work
from app.instruments.queries import set_terms
from app.instruments.rules import Instrument
from app.ledger.models import Portfolio, Trade
from app.ledger.queries import audit
from app.ledger.rules.accounting import Side
from app.ledger.rules.chain import GENESIS, TradeRow, compute_row_hash, hash_request
from app.ledger.rules.tickets import compute_trade_value
from app.ledger.service.batch_handler import LedgerBatchHandler
from app.ledger.service.commands import CommandOrigin, LedgerCommand, RecordedTrade, RecordTrade, ReverseTrade
from app.money import to_places
from app.text import name_key
from app.timestamps import format_timestamp
from tests.factories import NOON

BOOKS = ("Growth", "Income", "Crypto")
SYMBOLS = ("AAPL", "BTC/USD", "TLT")


def record_history(engine: Engine, seed: int, batches: int = 8, *, with_euros: bool = True) -> list[TradeRow]:
    """Record some 25 trades a batch, and a few reversals of any earlier ones; return all rows.

    The treasuries are in euros, at a rate of each batch, unless `with_euros` is false.
    """
    dice, at = random.Random(seed), NOON + timedelta(days=seed)
    recording = LedgerBatchHandler(rates=lambda *_: Decimal(dice.randrange(10**7, 2 * 10**8)).scaleb(-8))
    if with_euros:
        list_in_euros(engine)
    rows: list[TradeRow] = []
    for batch in range(batches):
        at += timedelta(seconds=dice.randrange(3))
        works = [_trade(dice, at, f"{seed}:{batch}:{number}") for number in range(25)]
        undone = {row.reverses for row in rows} | {row.trade_id for row in rows if row.kind == "reversal"}
        standing = [row.trade_id for row in rows if row.trade_id not in undone]
        works += [_reversal(at, trade_id) for trade_id in dice.sample(standing, min(4, len(standing)))]
        dice.shuffle(works)
        with unit_of_work(engine) as connection:
            outcomes = recording.handle(connection, works).outcomes
        rows += [outcome.row for outcome in outcomes if isinstance(outcome, RecordedTrade)]
    return rows


def list_in_euros(engine: Engine) -> None:
    """List the treasuries in another currency than the portfolios'."""
    terms = Instrument("TLT", "", "etf", "EUR", Decimal("0.01"), Decimal(1))
    with unit_of_work(engine) as connection:
        set_terms(connection, 1, terms, NOON)


def _trade(dice: random.Random, at: datetime, name: str) -> LedgerCommand:
    quantity = to_places(Decimal(dice.randrange(1, 400)) / dice.choice((1, 3, 8)))
    amount = Decimal(dice.randrange(1, 10**7)) / 100
    valued = (
        compute_trade_value(quantity, amount, None)
        if dice.random() < 0.5
        else compute_trade_value(quantity, None, amount)
    )
    key = name if dice.random() < 0.5 else None
    origin = CommandOrigin(1, "tests", "U1", at, key, hash_request(name) if key else None)
    book = dice.choice(BOOKS)
    trade = RecordTrade(
        origin, dice.choice(SYMBOLS), "", dice.choice(list(Side)), valued, book, name_key(book), None
    )
    if dice.random() < 0.8:
        return trade
    executed_at = at - timedelta(seconds=dice.randrange(-60, 10**6))
    return trade._replace(executed_at=format_timestamp(executed_at), backdated_reason="Found late")


def _reversal(at: datetime, trade_id: str) -> LedgerCommand:
    return ReverseTrade(CommandOrigin(1, "tests", None, at, None, None), trade_id, "A slip")


@contextmanager
def connect_without_guards(engine: Engine) -> Iterator[Connection]:
    """Yield a connection that may change the ledger, as the database's owner may; nothing of it stays."""
    with engine.connect().execution_options(writes=True) as connection, connection.begin() as transaction:
        _unguard(connection)
        connection.execute(
            text(
                "INSERT INTO tenants (id, slug, name, created_at) "
                "VALUES (2, 'other', 'Other', '2026-01-01T00:00:00.000000Z')"
            )
        )
        yield connection
        transaction.rollback()


def _unguard(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.execute(text("PRAGMA defer_foreign_keys = ON"))
        connection.execute(text("PRAGMA ignore_check_constraints = ON"))
        for verb in ("update", "delete"):
            connection.execute(text(f"DROP TRIGGER trades_refuse_{verb}"))
        return
    connection.execute(text("ALTER TABLE trades DISABLE TRIGGER USER"))
    for table in ("trades", "positions"):
        connection.execute(text(f"ALTER TABLE {table} DROP CONSTRAINT ck_{table}_currency_is_whole"))
    for table in ("trades", "positions"):
        for key in inspect(connection).get_foreign_keys(table):
            connection.execute(text(f"ALTER TABLE {table} DROP CONSTRAINT {key['name']}"))


def alter_row(connection: Connection, row: TradeRow, **literals: str) -> None:
    """Set columns of a row of the ledger to SQL literals."""
    changes = ", ".join(f"{column} = {literal}" for column, literal in literals.items())
    connection.execute(text(f"UPDATE trades SET {changes} WHERE trade_id = '{row.trade_id}'"))  # noqa: S608  # literals of the tests


def remove_rows(connection: Connection, **columns: str) -> None:
    """Delete the rows of the ledger with that column's value."""
    ((column, value),) = columns.items()
    connection.execute(delete(Trade).where(getattr(Trade, column) == value))


def forge_chain(connection: Connection, portfolio_id: int) -> None:
    """Compute the hashes of all rows of a portfolio again, as a careful forger does."""
    last = GENESIS
    for row in list(audit.iterate_rows_after(connection, 1, portfolio_id, 0)):
        last = compute_row_hash(row[:-1], last)
        alter_row(connection, row, hash=f"'{last}'")
    connection.execute(update(Portfolio).where(Portfolio.id == portfolio_id).values(last_hash=last))
