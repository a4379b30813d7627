"""The hash chain of the audit log: a hash covers its row and, through the previous hash, all rows before."""

import hashlib
import json
from typing import Any

import pytest

from app.audit.rules.chain import (
    COLUMNS,
    GENESIS,
    START,
    EntryContent,
    Head,
    build_chained_entry,
    compute_hash,
)
from tests.audit.entries import build_chain


def test_hash_covers_the_previous_hash_and_the_row_as_a_json_array():
    first, second = build_chain(2)
    text = json.dumps(second[:-1], separators=(",", ":"), ensure_ascii=False)
    assert second.hash == hashlib.sha256((first.hash + text).encode()).hexdigest()


def test_chain_starts_at_sequence_one_after_a_hash_of_zeros():
    (first,) = build_chain(1)
    assert (first.sequence, START) == (1, Head(0, GENESIS))
    assert first.hash == compute_hash(first[:-1], "0" * 64)


@pytest.mark.parametrize("field", COLUMNS[:-1])
def test_any_changed_field_changes_the_hash(field):
    (row,) = build_chain(1)
    value = getattr(row, field)
    change: dict[str, Any] = {field: value + 1 if isinstance(value, int) else (value or "") + "x"}
    assert compute_hash(row._replace(**change)[:-1], GENESIS) != row.hash


def test_equal_entries_of_two_tenants_have_different_hashes():
    chained_entry, other_entry = build_chain(1, tenant_id=1)[0], build_chain(1, tenant_id=2)[0]
    assert chained_entry.hash != other_entry.hash
    assert build_chained_entry(START, 1, _build_entry_values(chained_entry)) == chained_entry


def _build_entry_values(row):
    return EntryContent(*row[2:-2])
