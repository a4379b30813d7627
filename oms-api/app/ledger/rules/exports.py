"""The ledger's rows as lines of an export, for the verifier that works without the database."""

from collections.abc import Sequence
from typing import Any

from app.audit.rules.export_verification import Form
from app.ledger.rules.chain import COLUMNS, HASH_VERSION, TradeRow, hash_of, uncovered


def refuse_trade(values: Sequence[Any]) -> str | None:
    """Return why the values cannot be a row of the ledger, None where they can."""
    row = TradeRow._make(values)
    if row.hash_version not in range(1, HASH_VERSION + 1):
        return f"hash_version is {row.hash_version}, must be 1 to {HASH_VERSION}"
    later = uncovered(row)
    if later is not None:
        return f"{later} must be null: a hash of version {row.hash_version} does not cover it"
    return None


def covering(values: Sequence[Any], predecessor: str) -> str:
    """Return the hash that a row with these values (all of them) must have."""
    return hash_of(tuple(values[:-1]), predecessor)


LEDGER = Form("rows of the ledger", COLUMNS, refuse_trade, covering)
