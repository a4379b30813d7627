"""Verify a row of the cash ledger against the rows before it."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from app.ledger.rules.cash import CASH_HASH_VERSION, CashRow, has_valid_sign, hash_cash
from app.ledger.rules.ledger_state import LedgerState
from app.ledger.rules.verification import Finding, LedgerCheck
from app.money import format_fixed


def check_cash_row(row: CashRow, before: LedgerState, currency: str) -> list[Finding]:
    """Return the findings about a cash movement, given the state of its portfolio before it.

    `currency` is the portfolio's. Raises ValueError or ArithmeticError where an amount cannot be read.
    """
    return [
        Finding(LedgerCheck.CASH_MOVEMENT, *difference)
        for difference in _list_differences(row, before, currency)
    ]


def _list_differences(
    row: CashRow, before: LedgerState, currency: str
) -> Iterator[tuple[str, str | int | None, str | int | None]]:
    if row.sequence != before.cash_sequence + 1:
        yield "sequence", row.sequence, before.cash_sequence + 1
    if row.hash_version != CASH_HASH_VERSION:
        yield "hash_version", row.hash_version, CASH_HASH_VERSION
    expected = hash_cash(tuple(row[:-1]), before.cash_hash)
    if row.hash != expected:
        yield "hash", row.hash, expected
    amount = Decimal(row.amount)
    if not has_valid_sign(row.kind, amount):
        yield "amount", row.amount, f"an amount with the sign of a {row.kind}"
    if row.currency != currency:
        yield "currency", row.currency, currency
    if Decimal(row.balance_after) != before.cash + amount:
        yield "balance_after", row.balance_after, format_fixed(before.cash + amount)
    if row.trade_sequence != before.sequence:
        yield "trade_sequence", row.trade_sequence, before.sequence
    datetime.fromisoformat(row.created_at)
