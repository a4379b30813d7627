"""Build the event that sums up the day of a portfolio, at each close of its P&L day."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import orjson
from sqlalchemy import Connection

from app.clock import EPOCH
from app.database.bulk import Row
from app.ledger.rules.equity import Baseline
from app.ledger.rules.keys import PortfolioKey
from app.money import ZERO
from app.performance import queries
from app.performance.queries import PortfolioTotals
from app.performance.queries.summaries import iterate_day_rows, load_portfolio_names
from app.performance.rules.day_summaries import build_summary_payload, sum_day
from app.performance.rules.values import Snapshot
from app.timestamps import format_timestamp

SUMMARY = "portfolio.summary"


def build_summary_events(
    connection: Connection, states: Sequence[PortfolioTotals], closes: Sequence[Snapshot], now: datetime
) -> list[Row]:
    """Return the rows of the outbox for closes that are not stored yet, in time order.

    A portfolio without trades that day and without positions at the close gets no event.
    """
    by_key = {PortfolioKey(state.tenant_id, state.id): state for state in states}
    names = load_portfolio_names(connection, by_key.keys()) if closes else {}
    instants = queries.load_last_closes(connection, list(by_key)) if closes else {}
    baselines = _find_baselines(connection, by_key)
    events: list[Row] = []
    for close in sorted(closes, key=lambda snapshot: snapshot.at):
        key = PortfolioKey(close.tenant_id, close.portfolio_id)
        start, state = instants.get(key, EPOCH), by_key[key]
        is_idle = state.last_created_at is None or state.last_created_at <= start
        if not is_idle or close.gross_exposure:
            totals = sum_day(iterate_day_rows(connection, key, start, close.at))
            if totals.rows or close.gross_exposure:
                payload = build_summary_payload(
                    close,
                    baselines[key],
                    totals,
                    names[key.portfolio_id],
                    state.base_currency,
                    format_timestamp(close.at),
                )
                events.append((key.tenant_id, SUMMARY, orjson.dumps(payload).decode(), format_timestamp(now)))
        instants[key], baselines[key] = close.at, Baseline(close.equity, close.flows)
    return events


def _find_baselines(
    connection: Connection, states: Mapping[PortfolioKey, PortfolioTotals]
) -> dict[PortfolioKey, Baseline]:
    """Return the last stored close of each portfolio, or its opening cash if no close is stored."""
    baselines = {key: Baseline(state.opening_cash, ZERO) for key, state in states.items()}
    for tenant_id in {key.tenant_id for key in states}:
        ids = [key.portfolio_id for key in states if key.tenant_id == tenant_id]
        for portfolio_id, baseline in queries.load_baselines(connection, tenant_id, ids).items():
            baselines[PortfolioKey(tenant_id, portfolio_id)] = baseline
    return baselines
