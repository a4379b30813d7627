"""From what a driver returns to the canonical text form of the ledger's rows."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.clock import iso
from app.ledger.rules.chain import TradeRow
from app.money import fixed


def canonical_trade(values: Sequence[Any]) -> TradeRow:
    """Return the row whose columns, in the order of `COLUMNS`, are `values`: decimals and instants become
    text.
    """
    return TradeRow._make(map(canonical, values))


def canonical(value: Any) -> Any:  # whatever a column holds
    """Return the canonical text of a decimal or an instant, other values as they are."""
    if isinstance(value, Decimal):
        return fixed(value)
    return iso(value) if isinstance(value, datetime) else value
