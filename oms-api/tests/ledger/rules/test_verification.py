"""What verification makes of rows that no service of ours would write; histories are in tests/commands."""

from decimal import Decimal
from enum import StrEnum
from typing import Any

import pytest

from app.ledger.rules.chain import GENESIS, TradeRow, hash_of
from app.ledger.rules.verification import Check, LedgerState, amounts_of, examine
from tests.factories import trade_row

OPENING = Decimal(1_000_000)


def found(row: TradeRow) -> list[tuple[StrEnum, str]]:
    before = LedgerState(cash=OPENING)
    return [(finding.check, finding.field) for finding in examine(row, amounts_of(row), before)]


def rechained(**changes) -> TradeRow:
    """Return a row as a careful forger leaves it: changed, and hashed anew."""
    row = trade_row()._replace(**changes)
    return row._replace(hash=hash_of(row[:-1], GENESIS))


@pytest.mark.parametrize("name", ["sequence", "trades_after", "buys_after"])
@pytest.mark.parametrize("value", ["1", 1.0, None])
def test_a_count_is_a_whole_number(name, value):
    assert (Check.FORM, name) in found(rechained(**{name: value}))


@pytest.mark.parametrize("name", ["kind", "side", "quantity", "cash_after", "executed_at", "created_at"])
@pytest.mark.parametrize("value", [None, 7, "x", "1e5", "NaN"])
def test_texts_have_their_form(name, value):
    assert (Check.FORM, name) in found(rechained(**{name: value}))


def test_a_hash_of_another_version_is_not_taken_on_trust():
    assert (Check.CHAIN, "hash_version") in found(rechained(hash_version=3))
    assert (Check.CHAIN, "hash_version") in found(rechained(hash_version=0))
    assert found(rechained(hash_version=1)) == []
    assert (Check.CHAIN, "actor") in found(rechained(hash_version=1, actor="slack:T1:U1"))


def test_what_no_row_can_hold_has_no_hash():
    unfit: Any = b"bytes"
    assert (Check.CHAIN, "hash") in found(trade_row()._replace(note=unfit))


@pytest.mark.parametrize("name", ["quantity", "price", "gmv"])
@pytest.mark.parametrize("value", ["0.00000000", "-1.00000000"])
def test_a_trade_is_of_something(name, value):
    assert (Check.VALUE, name) in found(rechained(**{name: value}))


@pytest.mark.parametrize(("key", "request_hash"), [(None, "a" * 64), ("k", None), ("k", "z" * 64), ("k", 7)])
def test_a_key_goes_with_the_hash_of_its_request(key, request_hash):
    assert (Check.KEY, "request_hash") in found(rechained(idempotency_key=key, request_hash=request_hash))
