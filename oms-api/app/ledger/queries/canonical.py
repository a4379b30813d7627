"""Convert database values to the canonical text of ledger rows."""

from collections.abc import Sequence
from typing import Any

from app.column_values import to_canonical
from app.ledger.rules.chain import TradeRow


def canonical_trade(values: Sequence[Any]) -> TradeRow:
    """Return the row with these column values, in the order of `COLUMNS`, as canonical text."""
    return TradeRow._make(map(to_canonical, values))
