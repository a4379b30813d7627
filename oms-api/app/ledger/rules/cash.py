"""The rows of the cash ledger: movements of a portfolio's cash that are not trades."""

import hashlib
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

import orjson

from app.money import ZERO, shorten_amount
from app.timestamps import Timestamp

CASH_HASH_VERSION = 1


class CashKind(StrEnum):
    """The kind of a cash movement. Opening cash and trades are rows of other tables."""

    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    TRANSFER_IN = "transfer_in"
    TRANSFER_OUT = "transfer_out"
    CHARGES = "charges"
    DP_CHARGES = "dp_charges"
    DIVIDEND = "dividend"
    WITHHOLDING = "withholding"
    INTEREST = "interest"
    BORROW = "borrow"
    ADJUSTMENT = "adjustment"


# Movements that are neither a gain nor a loss.
FLOWS = frozenset({CashKind.DEPOSIT, CashKind.WITHDRAWAL, CashKind.TRANSFER_IN, CashKind.TRANSFER_OUT})
_CHARGES = frozenset({CashKind.CHARGES, CashKind.DP_CHARGES})
_INCOMING = frozenset({CashKind.DEPOSIT, CashKind.TRANSFER_IN})
_OUTGOING = frozenset({CashKind.WITHDRAWAL, CashKind.TRANSFER_OUT, *_CHARGES})  # withholding is reversible


class CashRow(NamedTuple):
    """A row of the cash ledger in the form that is stored and hashed.

    `amount` has the sign of its effect on the cash, in the portfolio's `currency`. `trade_sequence` is the
    number of ledger rows before it, which places it among the trades. `counterpart_id` is the other portfolio
    of a transfer, `day` the local date (YYYY-MM-DD) that the row is about. The order of the fields is part of
    the hash.
    """

    tenant_id: int
    portfolio_id: int
    sequence: int
    kind: str
    amount: str
    currency: str
    balance_after: str
    trade_sequence: int
    counterpart_id: int | None
    symbol: str | None
    day: str | None
    reason: str | None
    source: str
    actor: str | None
    request_id: str | None
    idempotency_key: str | None
    created_at: Timestamp
    hash_version: int
    hash: str


CASH_COLUMNS = CashRow._fields


def hash_cash(fields: tuple[str | int | None, ...], predecessor: str) -> str:
    """Return the hash of a row: SHA-256 of the predecessor's hash and the JSON array of the other fields."""
    return hashlib.sha256(predecessor.encode() + orjson.dumps(fields)).hexdigest()


def sign_amount(kind: CashKind, amount: Decimal) -> Decimal:
    """Return a positive amount with the sign of its effect on the cash."""
    return -amount if kind in _OUTGOING else amount


def has_valid_sign(kind: str, amount: Decimal) -> bool:
    """Return whether an amount has the sign of its kind. Some kinds allow either sign, none allows zero."""
    if kind in _INCOMING:
        return amount > ZERO
    return amount < ZERO if kind in _OUTGOING else amount != ZERO


def compute_moved_amount(kind: str, amount: Decimal) -> Decimal:
    """Return the amount that a row adds to the portfolio's `moved_cash`, which is zero for a charge."""
    return ZERO if kind in _CHARGES else amount


def build_cash_payload(row: CashRow, portfolio_name: str) -> str:
    """Return the payload of the row's event as JSON. Fields that do not apply are left out."""
    payload = {
        "portfolio_id": row.portfolio_id,
        "portfolio_name": portfolio_name,
        "sequence": row.sequence,
        "kind": row.kind,
        "amount": shorten_amount(row.amount),
        "currency": row.currency,
        "balance": shorten_amount(row.balance_after),
        "counterpart_id": row.counterpart_id,
        "symbol": row.symbol,
        "day": row.day,
        "reason": row.reason,
        "actor": row.actor,
    }
    return orjson.dumps({name: value for name, value in payload.items() if value is not None}).decode()


def build_cash_row(values: tuple[str | int | None, ...], predecessor: str) -> CashRow:
    """Return the row of `values`, its fields before `hash_version`, with its hash."""
    fields = (*values, CASH_HASH_VERSION)
    return CashRow._make((*fields, hash_cash(fields, predecessor)))
