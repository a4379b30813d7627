"""Verification of rows that the service never writes; tests/commands has whole histories."""

from decimal import Decimal
from enum import StrEnum
from typing import Any

import orjson
import pytest

from app.ledger.rules.accounting import FLAT
from app.ledger.rules.amounts import parse_row_amounts
from app.ledger.rules.chain import GENESIS, TradeRow, compute_row_hash
from app.ledger.rules.event_payloads import build_trade_payload
from app.ledger.rules.ledger_state import LedgerState, ReversedTrade
from app.ledger.rules.verification import LedgerCheck, check_row
from tests.factories import build_trade_row

OPENING = Decimal(1_000_000)


def find_problems(row: TradeRow) -> list[tuple[StrEnum, str]]:
    before = LedgerState(cash=OPENING)
    return [(finding.check, finding.field) for finding in check_row(row, parse_row_amounts(row), before)]


def rechain_row(**changes) -> TradeRow:
    """Return a row as a careful forger leaves it: changed, and hashed again."""
    row = build_trade_row()._replace(**changes)
    return row._replace(hash=compute_row_hash(row[:-1], GENESIS))


@pytest.mark.parametrize("name", ["sequence", "trades_after", "buys_after"])
@pytest.mark.parametrize("value", ["1", 1.0, None])
def test_verification_reports_a_sequence_or_count_that_is_not_an_integer(name, value):
    assert (LedgerCheck.FORM, name) in find_problems(rechain_row(**{name: value}))


@pytest.mark.parametrize("name", ["kind", "side", "quantity", "cash_after", "executed_at", "created_at"])
@pytest.mark.parametrize("value", [None, 7, "x", "1e5", "NaN"])
def test_verification_reports_values_of_invalid_format(name, value):
    assert (LedgerCheck.FORM, name) in find_problems(rechain_row(**{name: value}))


def test_verification_reports_an_unknown_hash_version():
    assert (LedgerCheck.CHAIN, "hash_version") in find_problems(rechain_row(hash_version=5))
    assert (LedgerCheck.CHAIN, "hash_version") in find_problems(rechain_row(hash_version=0))
    assert find_problems(rechain_row(hash_version=1)) == []
    assert (LedgerCheck.CHAIN, "actor") in find_problems(rechain_row(hash_version=1, actor="slack:T1:U1"))


def test_verification_reports_an_execution_over_a_minute_after_the_recording():
    assert find_problems(rechain_row(executed_at="2026-11-20T12:01:00.000000Z")) == []
    for instant in ("2026-11-20T12:01:00.000001Z", "2027-19-39T12:00:00.000000Z"):
        assert (LedgerCheck.TIME, "executed_at") in find_problems(rechain_row(executed_at=instant))
    assert (
        find_problems(rechain_row(executed_at="1999-01-01T00:00:00.000000Z", backdated_reason="Found late"))
        == []
    )


@pytest.mark.parametrize("change", [{"order_id": "O1"}, {"kind": "reversal"}])
def test_verification_reports_a_backdated_order_fill_or_reversal(change):
    assert (LedgerCheck.TIME, "backdated_reason") in find_problems(
        rechain_row(backdated_reason="Found late", **change)
    )


def test_value_that_cannot_be_stored_has_no_hash():
    unfit: Any = b"bytes"
    assert (LedgerCheck.CHAIN, "hash") in find_problems(build_trade_row()._replace(note=unfit))


@pytest.mark.parametrize("name", ["quantity", "price", "gmv"])
@pytest.mark.parametrize("value", ["0.00000000", "-1.00000000"])
def test_verification_reports_an_amount_that_is_not_positive(name, value):
    assert (LedgerCheck.VALUE, name) in find_problems(rechain_row(**{name: value}))


@pytest.mark.parametrize(("key", "request_hash"), [(None, "a" * 64), ("k", None), ("k", "z" * 64), ("k", 7)])
def test_verification_reports_a_key_without_a_valid_request_hash_and_vice_versa(key, request_hash):
    assert (LedgerCheck.KEY, "request_hash") in find_problems(
        rechain_row(idempotency_key=key, request_hash=request_hash)
    )


LOCAL = {
    "currency": "EUR",
    "fx_rate": "2.00000000",
    "local_cost_delta": "17500.00000000",
    "position_local_cost": "17500.00000000",
    "cost_delta": "35000.00000000",
    "position_cost": "35000.00000000",
    "cash_delta": "-35000.00000000",
    "cash_after": "965000.00000000",
}


def test_foreign_currency_row_booked_at_its_rate_has_no_findings():
    assert find_problems(rechain_row(**LOCAL)) == []


@pytest.mark.parametrize(
    ("change", "check", "field"),
    [
        ({"fx_rate": "2.00000001"}, LedgerCheck.POSITION, "position_cost"),
        ({"fx_rate": "2.00000001"}, LedgerCheck.CASH, "cash_delta"),
        ({"fx_rate": "0.00000000"}, LedgerCheck.VALUE, "fx_rate"),
        ({"local_cost_delta": "1.00000000"}, LedgerCheck.POSITION, "local_cost_delta"),
        ({"position_local_cost": "1.00000000"}, LedgerCheck.POSITION, "position_local_cost"),
        ({"currency": "euro"}, LedgerCheck.FORM, "currency"),
        ({"currency": None}, LedgerCheck.FORM, "fx_rate"),
        ({"fx_rate": None}, LedgerCheck.FORM, "fx_rate"),
        ({"position_local_cost": "1"}, LedgerCheck.FORM, "position_local_cost"),
        ({"hash_version": 2}, LedgerCheck.CHAIN, "currency"),
    ],
)
def test_verification_reports_a_wrong_foreign_currency_row(change, check, field):
    assert (check, field) in find_problems(rechain_row(**(LOCAL | change)))


def test_verification_reports_a_row_in_another_currency_than_its_position():
    first = rechain_row(**LOCAL)
    state = LedgerState(cash=OPENING)
    state.advance(first, parse_row_amounts(first))
    second = first._replace(sequence=2, currency="USD")
    rows_by_check = {
        (finding.check, finding.field) for finding in check_row(second, parse_row_amounts(second), state)
    }
    assert (LedgerCheck.POSITION, "currency") in rows_by_check


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"kind": "split", "gmv": "0.00000000"}, []),
        ({"kind": "split"}, ["gmv"]),
        ({"kind": "split", "gmv": "0.00000000", "price": "0.00000000"}, ["price"]),
        ({"kind": "transfer", "quantity": "0.00000000"}, ["quantity"]),
        ({"kind": "transfer", "gmv": "1.00000000"}, []),  # the cost that moved
    ],
)
def test_verification_reports_a_row_of_a_corporate_action_with_a_wrong_value(changes, fields):
    assert [
        field for check, field in find_problems(rechain_row(**changes)) if check == LedgerCheck.VALUE
    ] == fields


def test_verification_reports_a_reversal_of_no_trade():
    row = rechain_row(kind="reversal", reverses="T17636400000000000a1b2c3d5")
    assert (LedgerCheck.REVERSAL, "reverses") in find_problems(row)


def test_payload_of_an_early_row_has_no_execution_time():
    early, late = build_trade_row(hash_version=3), build_trade_row(hash_version=4)
    payloads = [orjson.loads(build_trade_payload(row, "Growth")) for row in (early, late)]
    assert ["executed_at" in payload for payload in payloads] == [False, True]


def test_verification_reports_a_second_reversal_of_a_trade():
    row = rechain_row(kind="reversal", reverses="T17636400000000000a1b2c3d5")
    earlier = ReversedTrade(build_trade_row(), "T17636400000000000a1b2c3d6", FLAT)
    findings = check_row(row, parse_row_amounts(row), LedgerState(cash=OPENING), earlier)
    assert "only T17636400000000000a1b2c3d6 reverses it" in [finding.expected for finding in findings]
