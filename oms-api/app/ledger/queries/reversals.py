"""Conditions on whether a reversal undid a ledger row."""

from typing import Any

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.orm import aliased

from app.ledger.models import Trade

_REVERSAL = aliased(Trade)  # made once, because it takes longer than a query of few rows


def is_undone(until: Any = None) -> ColumnElement[bool]:  # until: a value or an expression
    """Return the condition that a reversal undid a ledger row.

    With `until`, a sequence number, later reversals do not count.
    """
    of_trade = select(_REVERSAL.trade_id).where(
        _REVERSAL.tenant_id == Trade.tenant_id, _REVERSAL.reverses == Trade.trade_id
    )
    if until is not None:
        of_trade = of_trade.where(_REVERSAL.sequence <= until)
    return of_trade.correlate(Trade).exists()


def is_unreversed(until: Any = None) -> ColumnElement[bool]:  # as for `is_undone`
    """Return the condition that a ledger row is a trade that no reversal undid."""
    return and_(Trade.kind == "trade", ~is_undone(until))
