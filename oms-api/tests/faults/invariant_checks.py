"""Compare a database with the client's journal and the invariants of the ledger.

It shares no code with the service: it reads the tables by the drivers and computes with integers of 1e-8.
"""

import hashlib
import json
import sqlite3
from collections import Counter, defaultdict
from contextlib import closing
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import psycopg2

from tests.faults.journal import Intent, Journal

UNIT = 10**8
HASHED = [
    "tenant_id",
    "trade_id",
    "portfolio_id",
    "sequence",
    "kind",
    "symbol",
    "product",
    "side",
    "quantity",
    "price",
    "gmv",
    "charges",
    "realized_pnl",
    "user_id",
    "source",
    "order_id",
    "note",
    "idempotency_key",
    "request_hash",
    "reverses",
    "executed_at",
    "created_at",
    "quantity_delta",
    "cost_delta",
    "cash_delta",
    "position_quantity",
    "position_cost",
    "position_realized_pnl",
    "trades_after",
    "buys_after",
    "portfolio_realized_pnl",
    "cash_after",
    "actor",
    "request_id",
    "currency",
    "fx_rate",
    "local_cost_delta",
    "position_local_cost",
    "backdated_reason",
    "hash_version",
]
Row = dict[str, Any]
Position = tuple[int, int, int]  # quantity, cost, realized P&L
FLAT: Position = (0, 0, 0)


def find_faults(journal: Journal, database_url: str) -> list[str]:
    """Return the violated invariants."""
    tables = _read(database_url, ("trades", "portfolios", "positions", "events"))
    faults = [f"unexpected answer: {response}" for response in journal.unexpected]
    faults += _check_journal(journal, tables["trades"])
    faults += _check_events(tables)
    books = defaultdict(list)
    for row in sorted(tables["trades"], key=lambda row: row["sequence"]):
        books[row["portfolio_id"]].append(row)
    positions = {(row["portfolio_id"], row["symbol"]): _compute_position(row) for row in tables["positions"]}
    for portfolio in tables["portfolios"]:
        faults += _Book(portfolio, books.pop(portfolio["id"], []), positions).faults
    faults += [f"rows of no portfolio: {unknown_id}" for unknown_id in (*books, *positions)]
    return faults


def _check_journal(journal: Journal, rows: list[Row]) -> list[str]:
    recorded = defaultdict(list)
    for row in rows:
        recorded[row["kind"], row["idempotency_key"]].append(row)
    faults = []
    for intent in journal.intents.values():
        fault = _check_intent(intent, recorded.pop((intent.kind, intent.key), []))
        faults += [f"{intent.key}: {fault}"] if fault else []
    return faults + [f"{key}: in the ledger, not in the journal" for key in recorded]


def _check_intent(intent: Intent, rows: list[Row]) -> str | None:
    if len(rows) > 1:
        return "recorded twice"
    if intent.acknowledged and not rows:
        return "acknowledged and lost"
    if intent.refused and rows:
        return "said to be not placed, and recorded"
    if intent.acknowledged and {rows[0]["trade_id"]} != set(intent.acknowledged):
        return f"acknowledged as {intent.acknowledged}, recorded as {rows[0]['trade_id']}"
    return _describe_difference(intent, rows[0]) if rows else None


def _describe_difference(intent: Intent, row: Row) -> str | None:
    if intent.kind == "reversal":
        return None if f"/{row['reverses']}:" in intent.path else f"undid {row['reverses']}"
    same = all(row[name] == intent.body[name] for name in ("symbol", "side", "user_id"))
    same = same and all(row[name] == _parse_units(intent.body[name]) for name in ("quantity", "gmv"))
    return None if same else f"recorded otherwise: {row}"


def _check_events(tables: dict[str, list[Row]]) -> list[str]:
    recorded = [event for event in tables["events"] if event["type"] == "trade.recorded"]
    counts = Counter(json.loads(event["payload"])["trade_id"] for event in recorded)
    trade_counts = Counter(row["trade_id"] for row in tables["trades"])
    return [
        f"event of {trade_id} stands {counts[trade_id]} times"
        for trade_id in (counts - trade_counts) + (trade_counts - counts)
    ]


class _Book:
    """Walks through one portfolio's ledger."""

    def __init__(self, portfolio: Row, rows: list[Row], positions: dict[tuple[int, str], Position]) -> None:
        self._name, self._rows = portfolio["name"], rows
        self.faults: list[str] = []
        self._positions: dict[str, Position] = {}
        self._cash, self._hash, self._at, self._trade_id = portfolio["opening_cash"], "0" * 64, "", ""
        for sequence, row in enumerate(rows, 1):
            self._expect(row["sequence"], sequence, "sequence")
            self._walk(row)
        self._expect(portfolio["last_sequence"], len(rows), "last sequence")
        self._expect(portfolio["last_hash"], self._hash, "last hash")
        self._expect(portfolio["cash"], self._cash, "cash")
        self._expect(
            portfolio["realized_pnl"],
            sum(position[2] for position in self._positions.values()),
            "realized P&L",
        )
        undone = {row["reverses"] for row in rows}
        standing = [row for row in rows if row["kind"] == "trade" and row["trade_id"] not in undone]
        self._expect(portfolio["total_trades"], len(standing), "trades")
        self._expect(portfolio["total_buys"], sum(row["side"] == "BUY" for row in standing), "buys")
        own_positions = {
            symbol: positions.pop((owner, symbol))
            for owner, symbol in list(positions)
            if owner == portfolio["id"]
        }
        self._expect(own_positions, self._positions, "positions")

    def _walk(self, row: Row) -> None:
        sign = 1 if row["side"] == "BUY" else -1
        before = self._positions.get(row["symbol"], FLAT)
        after = self._remove_field(row) if row["kind"] == "reversal" else _sum_fills(before, row)
        self._positions[row["symbol"]] = after
        self._cash -= sign * row["gmv"]
        hashed = self._hash + json.dumps(row["hashed"], separators=(",", ":"), ensure_ascii=False)
        self._hash = hashlib.sha256(hashed.encode()).hexdigest()
        place = f"row {row['sequence']}"
        stored = (row["position_quantity"], row["position_cost"], row["position_realized_pnl"])
        self._expect(stored, after, f"position of {place}")
        self._expect(row["cash_after"], self._cash, f"cash of {place}")
        self._expect(row["hash"], self._hash, f"hash of {place}")
        if row["created_at"] < self._at or row["trade_id"] <= self._trade_id:
            self.faults.append(f"{self._name}: {place} precedes its predecessor in time or id")
        self._at, self._trade_id = row["created_at"], row["trade_id"]

    def _remove_field(self, reversal: Row) -> Position:
        """Replay the symbol up to the reversal, without the trades that are reversed by then."""
        past = [row for row in self._rows[: reversal["sequence"]] if row["symbol"] == reversal["symbol"]]
        undone = {row["reverses"] for row in past}
        position = FLAT
        for row in past:
            if row["kind"] == "trade" and row["trade_id"] not in undone:
                position = _sum_fills(position, row)
        return position

    def _expect(self, stated: object, true: object, label: str) -> None:
        if stated != true:
            self.faults.append(f"{self._name}: {label} is {stated}, must be {true}")


def _sum_fills(position: Position, row: Row) -> Position:
    quantity, cost, realized = position
    fill = row["quantity"] if row["side"] == "BUY" else -row["quantity"]
    value = row["gmv"] if fill > 0 else -row["gmv"]
    if quantity * fill >= 0:
        return quantity + fill, cost + value, realized
    closed = min(abs(quantity), abs(fill))
    released = round(Fraction(cost * closed, abs(quantity)))  # rounds half to even
    closing_value = round(Fraction(value * closed, abs(fill)))
    return quantity + fill, cost - released + value - closing_value, realized - closing_value - released


def _compute_position(row: Row) -> Position:
    return row["quantity"], row["cost"], row["realized_pnl"]


def _parse_units(text: str) -> int:
    return int(Decimal(text) * UNIT)


def _read(database_url: str, tables: tuple[str, ...]) -> dict[str, list[Row]]:
    """Return the tables at one moment; amounts as integers of 1e-8, instants as text."""
    if database_url.startswith("sqlite"):
        with closing(sqlite3.connect(database_url.removeprefix("sqlite:///"), timeout=10)) as connection:
            connection.execute("BEGIN")
            return {table: _rows(connection.cursor(), table, _load_sqlite) for table in tables}
    with closing(psycopg2.connect(database_url, options="-c timezone=UTC")) as connection:
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
        return {table: _rows(connection.cursor(), table, _load_postgres) for table in tables}


def _rows(cursor: Any, table: str, canonical: Any) -> list[Row]:
    cursor.execute(f"SELECT * FROM {table}")  # noqa: S608  # a constant of this module
    names = [column[0] for column in cursor.description]
    problems = []
    for values in cursor.fetchall():
        texts = {name: canonical(name, value) for name, value in zip(names, values, strict=True)}
        row: Row = {
            name: _parse_units(text) if _is_amount(name, text) else text for name, text in texts.items()
        }
        if table == "trades":
            row["hashed"] = [texts[name] for name in HASHED]
        problems.append(row)
    return problems


_AMOUNTS = frozenset(
    [
        "quantity",
        "price",
        "gmv",
        "charges",
        "realized_pnl",
        "quantity_delta",
        "cost_delta",
        "cash_delta",
        "position_quantity",
        "position_cost",
        "position_realized_pnl",
        "portfolio_realized_pnl",
        "cash_after",
        "cost",
        "cash",
        "opening_cash",
    ]
)


def _is_amount(name: str, text: Any) -> bool:
    return name in _AMOUNTS and isinstance(text, str)


def _load_sqlite(_: str, value: Any) -> Any:
    return value


def _load_postgres(name: str, value: Any) -> Any:
    if isinstance(value, Decimal):
        return f"{value:.8f}"
    return f"{value:%Y-%m-%dT%H:%M:%S.%f}Z" if isinstance(value, datetime) else value
