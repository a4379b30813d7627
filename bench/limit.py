"""The upper limit of trade throughput: pgbench writes to the service's own tables.

Each transaction writes one trade. It computes no hash and no P&L and looks up no key. The bare limit appends
to the ledger and upserts the position. The full limit also writes to the outbox and updates the portfolio, as
the service does. Transactions then wait for each other at the portfolio's row, so the full limit is the lower
one.
"""

import re
import subprocess
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from typing_extensions import override

from bench.load import PORTFOLIOS, SYMBOLS
from bench.postgres import Server

CLIENTS, THREADS = 32, 2
_INSTANT = "'2026-11-20T15:04:05.123456Z'"
_HASH = f"'{'0123456789abcdef' * 4}'"

# As long as the service's event of a trade and of the updated position.
_TRADE_EVENT = (
    """'{"trade_id":"T16972345671230000a1b2c3d4","portfolio_id":1,"portfolio_name":"Book 1","sequence":1,"""
    """"kind":"trade","symbol":"SYM10","side":"BUY","quantity":"500","price":"175.25","gmv":"87625.00","""
    """"realized_pnl":"0.00"}'"""
)
_POSITION_EVENT = (
    """'{"portfolio_id":1,"portfolio_name":"Book 1","symbol":"SYM10","product":"","sequence":1,"""
    """"quantity":"500","cost":"87625.00","realized_pnl":"0.00"}'"""
)

_TRADE = {
    "tenant_id": "1",
    "trade_id": "'T1697234567123' || lpad(:number::text, 12, '0')",
    "portfolio_id": ":portfolio",
    "sequence": ":number",
    "kind": "'trade'",
    "symbol": "'SYM' || :symbol",
    "product": "''",
    "side": "'BUY'",
    "quantity": ":quantity",
    "price": "175.25",
    "gmv": ":quantity * 175.25",
    "charges": "0",
    "realized_pnl": "0",
    "user_id": "'U0123'",
    "source": "'bootstrap'",
    "order_id": "NULL",
    "note": "NULL",
    "idempotency_key": "'5f2c8c7f6f0d-' || :number",
    "request_hash": _HASH,
    "reverses": "NULL",
    "executed_at": _INSTANT,
    "created_at": _INSTANT,
    "quantity_delta": ":quantity",
    "cost_delta": ":quantity * 175.25",
    "cash_delta": ":quantity * -175.25",
    "position_quantity": ":quantity",
    "position_cost": ":quantity * 175.25",
    "position_realized_pnl": "0",
    "trades_after": ":number",
    "buys_after": ":number",
    "portfolio_realized_pnl": "0",
    "cash_after": "1000000",
    "hash_version": "1",
    "hash": _HASH,
}
_DRAW = f"""
\\set turn :turn + 1
\\set number :client_id * 100000000 + :turn
\\set portfolio random(1, {PORTFOLIOS})
\\set symbol random(10, {10 + SYMBOLS - 1})
\\set quantity random(1, 1000)
"""
_INSERT_AND_UPSERT = f"""
INSERT INTO trades ({", ".join(_TRADE)}) VALUES ({", ".join(_TRADE.values())});
INSERT INTO positions (tenant_id, portfolio_id, symbol, product, quantity, cost, realized_pnl, last_sequence)
VALUES (1, :portfolio, 'SYM' || :symbol, '', :quantity, :quantity * 175.25, 0, :number)
ON CONFLICT (tenant_id, portfolio_id, symbol, product) DO UPDATE
SET quantity = excluded.quantity, cost = excluded.cost, realized_pnl = excluded.realized_pnl,
    last_sequence = excluded.last_sequence;
"""  # noqa: S608  # names and literals of this file
# The portfolio comes last: its row is the most contended and so is locked for the shortest time.
_REMAINING_STATEMENTS = f"""
INSERT INTO events (tenant_id, type, payload, created_at)
VALUES (1, 'trade.recorded', {_TRADE_EVENT}, {_INSTANT}),
    (1, 'position.changed', {_POSITION_EVENT}, {_INSTANT});
UPDATE portfolios
SET cash = cash - :quantity * 175.25, total_trades = total_trades + 1, total_buys = total_buys + 1,
    last_sequence = last_sequence + 1, last_hash = {_HASH}, last_created_at = {_INSTANT}
WHERE tenant_id = 1 AND id = :portfolio;
"""  # noqa: S608  # as above
_BOOKS = f"""
INSERT INTO portfolios (tenant_id, name, name_key, base_currency, kind, opening_cash, cash, realized_pnl,
    total_trades, total_buys, last_sequence, last_hash, created_at)
SELECT 1, 'Book ' || n, 'book ' || n, 'USD', 'paper', 1000000, 1000000, 0, 0, 0, 0, {_HASH}, {_INSTANT}
FROM generate_series(1, {PORTFOLIOS}) n
"""  # noqa: S608  # as above


class NoPgbench(Exception):
    """pgbench is not installed."""


class Script(Enum):
    """The statements of a transaction."""

    BARE = f"{_DRAW}BEGIN;{_INSERT_AND_UPSERT}COMMIT;\n"
    FULL = f"{_DRAW}BEGIN;{_INSERT_AND_UPSERT}{_REMAINING_STATEMENTS}COMMIT;\n"


@dataclass(frozen=True, slots=True)
class PgbenchResult:
    """The result of pgbench: transactions per second, and their average time in milliseconds."""

    rate: float
    milliseconds: float

    @override
    def __str__(self) -> str:
        return f"{self.rate:,.0f}/s ({self.milliseconds:.1f} ms)"


def open_books(server: Server, database: str) -> None:
    """Insert the portfolios of the script into a migrated, empty database."""
    server.sql(_BOOKS, database)


def run_pgbench(
    server: Server, database: str, folder: Path, script: Script, turn: int, seconds: int = 8
) -> PgbenchResult:
    """Run the script. `turn` distinguishes the runs on one database. Raises NoPgbench."""
    program = server.pgbench()
    if program is None:
        raise NoPgbench("pgbench is not installed (Debian: postgresql-client and postgresql-contrib).")
    path = folder / f"{script.name.lower()}.pgbench"
    path.write_text(script.value)
    crowd = ["-c", str(CLIENTS), "-j", str(THREADS), "-T", str(seconds)]
    start = ["-D", f"turn={turn * 1_000_000}", "-M", "prepared", "-n", "-f", str(path)]
    process = subprocess.run(
        [program, *crowd, *start, server.url(database)], capture_output=True, text=True, check=True
    )
    return PgbenchResult(
        _find_figure(r"tps = ([\d.]+)", process.stdout),
        _find_figure(r"latency average = ([\d.]+)", process.stdout),
    )


def _find_figure(pattern: str, text: str) -> float:
    match = re.search(pattern, text)
    if not match:
        raise ValueError(f"pgbench printed no {pattern}: {text}")
    return float(match[1])
