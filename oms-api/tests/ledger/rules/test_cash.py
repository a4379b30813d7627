"""Rows of the cash ledger: their hashes, their signs, and what verification finds in a changed one."""

from decimal import Decimal
from typing import Any

import pytest

from app.ledger.rules.cash import (
    CashKind,
    CashRow,
    build_cash_row,
    compute_moved_amount,
    has_valid_sign,
    sign_amount,
)
from app.ledger.rules.cash_verification import check_cash_row
from app.ledger.rules.chain import GENESIS
from app.ledger.rules.ledger_state import LedgerState

AT = "2026-11-20T12:00:00.000000Z"


def build_row(**changes: Any) -> CashRow:
    """Return a deposit of 5 into 100, or another row."""
    none = ("counterpart_id", "symbol", "day", "reason", "actor", "request_id", "idempotency_key")
    fields: dict[str, Any] = {
        **dict.fromkeys(none),
        "tenant_id": 1,
        "portfolio_id": 7,
        "sequence": 1,
        "kind": "deposit",
        "amount": "5.00000000",
        "currency": "USD",
        "balance_after": "105.00000000",
        "trade_sequence": 0,
        "source": "bootstrap",
        "created_at": AT,
    } | changes
    names = CashRow._fields[:-2]
    return build_cash_row(tuple(fields[name] for name in names), GENESIS)


def find_problems(changed: CashRow) -> list[str]:
    return [finding.field for finding in check_cash_row(changed, LedgerState(Decimal(100)), "USD")]


def test_row_that_follows_its_predecessor_has_no_findings():
    assert find_problems(build_row()) == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"sequence": 2}, "sequence"),
        ({"amount": "6.00000000"}, "balance_after"),
        ({"kind": "withdrawal"}, "amount"),
        ({"currency": "EUR"}, "currency"),
        ({"trade_sequence": 3}, "trade_sequence"),
    ],
)
def test_invalid_row_with_a_valid_hash_is_reported(changes, field):
    assert find_problems(build_row(**changes)) == [field]


def test_changed_row_has_another_hash():
    assert find_problems(build_row()._replace(reason="Another")) == ["hash"]
    assert find_problems(build_row()._replace(hash_version=2)) == ["hash_version", "hash"]


@pytest.mark.parametrize("kind", CashKind)
def test_requested_amount_gets_the_sign_of_its_kind(kind):
    assert has_valid_sign(kind, sign_amount(kind, Decimal(5)))
    assert not has_valid_sign(kind, Decimal(0))


def test_charges_are_not_cash_movements():
    kinds = {kind for kind in CashKind if not compute_moved_amount(kind, Decimal(-5))}
    assert kinds == {CashKind.CHARGES, CashKind.DP_CHARGES}
