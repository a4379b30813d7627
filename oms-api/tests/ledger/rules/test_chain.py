"""The hash chain: a change of a row, or of a row before it, changes the hash."""

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ledger.rules.chain import COLUMNS, GENESIS, compute_row_hash, hash_request
from tests.factories import build_trade_row


def test_hash_covers_the_previous_hash_and_the_row_as_a_json_array():
    fields = build_trade_row()[:-1]
    text = json.dumps(fields, separators=(",", ":"), ensure_ascii=False)
    assert compute_row_hash(fields, GENESIS) == hashlib.sha256((GENESIS + text).encode()).hexdigest()


CURRENCIES = {"currency", "fx_rate", "local_cost_delta", "position_local_cost"}


LATEST = {"backdated_reason"}


@pytest.mark.parametrize(
    ("version", "unknown"),
    [(1, LATEST | CURRENCIES | {"actor", "request_id"}), (2, LATEST | CURRENCIES), (3, LATEST)],
)
def test_older_hash_versions_omit_later_fields(version, unknown):
    row = build_trade_row(actor="slack:T1:U1", request_id="r-1", currency="USD", hash_version=version)
    known_values = [value for name, value in row._asdict().items() if name not in unknown | {"hash"}]
    text = json.dumps(known_values, separators=(",", ":"), ensure_ascii=False)
    assert compute_row_hash(row[:-1], GENESIS) == hashlib.sha256((GENESIS + text).encode()).hexdigest()


@pytest.mark.parametrize("field", COLUMNS[:-1])
def test_any_changed_field_changes_the_hash(field):
    row = build_trade_row()
    value = getattr(row, field)
    change: dict[str, Any] = {field: value + 1 if isinstance(value, int) else (value or "") + "x"}
    changed = row._replace(**change)
    assert compute_row_hash(changed[:-1], GENESIS) != compute_row_hash(row[:-1], GENESIS)


def test_another_predecessor_changes_the_hash():
    fields = build_trade_row()[:-1]
    assert compute_row_hash(fields, "1" * 64) != compute_row_hash(fields, GENESIS)


@pytest.mark.parametrize(
    ("first", "second"),
    [((None,), ("",)), (("a", "b"), ("ab", "")), (("1",), ("1", None)), (("a,b",), ("a", "b"))],
)
def test_different_requests_have_different_fingerprints(first, second):
    assert hash_request(*first) != hash_request(*second)


request_values = st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"])), max_size=8).map(
    tuple
)


@given(request_values, request_values)
def test_fingerprints_agree_exactly_for_equal_requests(first, second):
    assert (hash_request(*first) == hash_request(*second)) == (first == second)
