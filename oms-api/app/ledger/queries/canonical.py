"""Convert database values to the canonical text of ledger rows."""

from collections.abc import Sequence
from typing import Any

from app.column_values import format_canonical
from app.ledger.rules.chain import TradeRow


def format_trade(values: Sequence[Any]) -> TradeRow:
    """Return the row with these column values, in the order of `COLUMNS`, as canonical text."""
    return TradeRow._make(map(format_canonical, values))
