"""Conditions on whether a reversal undid a ledger row."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, select
from sqlalchemy.orm import aliased

from app.ids import build_first_trade_id
from app.ledger.models import Trade
from app.ledger.queries.canonical import format_trade
from app.ledger.rules.chain import COLUMNS, TradeRow
from app.ledger.rules.keys import ADOPTION_KEY_PREFIX

_REVERSAL = aliased(Trade)  # made once, because it takes longer than a query of few rows


def build_reversed_condition(until: Any = None) -> ColumnElement[bool]:  # until: a value or an expression
    """Return the condition that a reversal undid a ledger row.

    With `until`, a sequence number, later reversals do not count.
    """
    reversals = select(_REVERSAL.trade_id).where(
        _REVERSAL.tenant_id == Trade.tenant_id, _REVERSAL.reverses == Trade.trade_id
    )
    if until is not None:
        reversals = reversals.where(_REVERSAL.sequence <= until)
    return reversals.correlate(Trade).exists()


def build_unreversed_trade_condition(until: Any = None) -> ColumnElement[bool]:
    """Return the condition that a ledger row is a trade that no reversal undid.

    `until` is as for `build_reversed_condition`.
    """
    return and_(Trade.kind == "trade", ~build_reversed_condition(until))


def find_adoption(
    connection: Connection, tenant_id: int, portfolio_id: int, symbol: str, since: datetime
) -> TradeRow | None:
    """Return the first trade after `since` that adopted a position in the symbol and was not reversed."""
    statement = (
        select(*(getattr(Trade, name) for name in COLUMNS))
        .where(Trade.tenant_id == tenant_id, Trade.symbol == symbol, Trade.portfolio_id == portfolio_id)
        .where(
            Trade.trade_id >= build_first_trade_id(since),
            Trade.order_id.is_(None),
            build_unreversed_trade_condition(),
        )
        .where(Trade.idempotency_key.startswith(ADOPTION_KEY_PREFIX, autoescape=True))
        .order_by(Trade.trade_id)
        .limit(1)
    )
    row = connection.execute(statement).one_or_none()
    return None if row is None else format_trade(row)
