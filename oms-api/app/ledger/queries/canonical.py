"""Convert database values to the canonical text of ledger rows."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.ledger.rules.chain import TradeRow
from app.money import fixed
from app.timestamps import iso


def canonical_trade(values: Sequence[Any]) -> TradeRow:
    """Return the row with these column values, in the order of `COLUMNS`, as canonical text."""
    return TradeRow._make(map(canonical, values))


def canonical(value: Any) -> Any:  # the value of any column
    """Return the canonical text of a decimal or an instant, other values unchanged."""
    if isinstance(value, Decimal):
        return fixed(value)
    return iso(value) if isinstance(value, datetime) else value
