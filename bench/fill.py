"""Fills a migrated database with trades in big batches, by the ledger's own handler.

Run it with oms-api and the repository on PYTHONPATH. Every portfolio holds every symbol after the first
thousand trades, so that books of different lengths have the same number of positions.
"""

import argparse
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice

from app.config import load_settings
from app.database import connect_engine
from app.database.timeouts import response_timeout
from app.ledger.rules.accounting import Side
from app.ledger.rules.chain import hash_request
from app.ledger.rules.tickets import compute_trade_value
from app.ledger.service.batch_handler import LedgerBatchHandler
from app.ledger.service.commands import CommandOrigin, RecordTrade
from app.text import name_key
from bench.load import PORTFOLIOS, SYMBOLS

BATCH = 2000
_BEGIN = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
_STEP = timedelta(milliseconds=20)
_PATIENCE_SECONDS = 60


def create_commands(count: int, seed: int = 1) -> Iterator[RecordTrade]:
    """Yield `count` trades, round-robin over portfolios and symbols, with random sides and sizes."""
    chance = random.Random(seed)
    for number in range(count):
        symbol, portfolio = number % SYMBOLS, number // SYMBOLS % PORTFOLIOS
        quantity, price = Decimal(chance.randint(1, 1000)), Decimal(chance.randint(1000, 50000)) / 100
        yield _create_command(
            number, f"SYM{symbol:02d}", f"Book {portfolio:02d}", chance.choice(list(Side)), quantity, price
        )


def _create_command(
    number: int, symbol: str, portfolio: str, side: Side, quantity: Decimal, price: Decimal
) -> RecordTrade:
    key = f"fill-{number}"
    origin = CommandOrigin(
        1, "bootstrap", f"U{number % 100:04d}", _BEGIN + number * _STEP, key, hash_request(key)
    )
    trade = compute_trade_value(quantity, quantity * price, None)
    return RecordTrade(
        origin=origin,
        symbol=symbol,
        product="",
        side=side,
        trade=trade,
        portfolio_name=portfolio,
        portfolio_name_key=name_key(portfolio),
        note=None,
    )


def fill(count: int) -> None:
    """Record `count` trades in the database of the environment."""
    engine = connect_engine(load_settings().database_url, readers=1)
    recording, commands = LedgerBatchHandler(), create_commands(count)
    with engine.connect().execution_options(writes=True) as connection, response_timeout(_PATIENCE_SECONDS):
        while batch := list(islice(commands, BATCH)):
            with connection.begin():
                recording.handle(connection, batch)
    engine.dispose()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    fill(parser.parse_args().count)
