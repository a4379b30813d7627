"""Verify exported ledger rows without the database."""

from collections.abc import Sequence
from typing import Any

from app.audit.rules.export_verification import Form
from app.ledger.rules.chain import (
    COLUMNS,
    HASH_VERSION,
    LATER_COLUMNS,
    TradeRow,
    compute_row_hash,
    find_uncovered_column,
)

_EARLIER_VERSION = 3  # the hash version of the release before


def find_row_problem(values: Sequence[Any]) -> str | None:
    """Return why the values cannot be a ledger row, None if they can."""
    row = TradeRow._make(values)
    if row.hash_version not in range(1, HASH_VERSION + 1):
        return f"hash_version is {row.hash_version}, must be 1 to {HASH_VERSION}"
    later = find_uncovered_column(row)
    if later is not None:
        return f"{later} must be null: a hash of version {row.hash_version} does not cover it"
    return None


def hash_covered_values(values: Sequence[Any], predecessor: str) -> str:
    """Return the hash that a row with these values must have."""
    return compute_row_hash(tuple(values[:-1]), predecessor)


def _add_later_columns(values: Sequence[Any]) -> list[Any]:
    """Return the values of a row as an earlier release exported it, with null for the later columns."""
    *earlier_values, hash_version, hash_ = values
    return [*earlier_values, *(None for _ in LATER_COLUMNS[_EARLIER_VERSION]), hash_version, hash_]


LEDGER = Form("rows of the ledger", COLUMNS, find_row_problem, hash_covered_values)
EARLIER_LEDGER = Form(
    "rows of the ledger",
    tuple(name for name in COLUMNS if name not in LATER_COLUMNS[_EARLIER_VERSION]),
    lambda values: find_row_problem(_add_later_columns(values)),
    lambda values, predecessor: hash_covered_values(_add_later_columns(values), predecessor),
)
