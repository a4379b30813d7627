"""Select the trades that no reversal undid."""

from typing import Any

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.orm import aliased

from app.ledger.models import Trade


def is_unreversed(until: Any = None) -> ColumnElement[bool]:  # until: a value or an expression
    """Return the condition that a ledger row is a trade that no reversal undid.

    With `until`, a sequence number, later reversals do not count.
    """
    reversal = aliased(Trade)
    of_trade = select(reversal.trade_id).where(
        reversal.tenant_id == Trade.tenant_id, reversal.reverses == Trade.trade_id
    )
    if until is not None:
        of_trade = of_trade.where(reversal.sequence <= until)
    return and_(Trade.kind == "trade", ~of_trade.correlate(Trade).exists())
