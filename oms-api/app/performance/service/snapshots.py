"""Store snapshots of the equity of portfolios: at an interval, and at each close of their P&L day.

A snapshot shows the state at its instant even if it is taken later: it uses the rows of the ledger that were
recorded by that instant, at the prices of that instant.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby

from sqlalchemy import Connection, Engine

from app.calendars.rules.calendars import Calendar
from app.calendars.rules.values import MarketIdentifier as MarketCode
from app.calendars.service import Calendars
from app.clock import EPOCH, Now
from app.database import ALL_TENANTS, execute_writes, snapshot, unit_of_work
from app.database.bulk import BulkRow
from app.events.service.outbox import build_event_insert
from app.jobs.rules.schedule import get_slot
from app.jobs.service import Lease
from app.ledger.models import PositionRow
from app.ledger.queries.portfolios import load_portfolio_summary
from app.ledger.queries.valuation import list_positions_to_value, sum_flows
from app.ledger.rules.equity import NO_EXPOSURE, PortfolioExposure, PositionToValue, value_currencies
from app.ledger.rules.keys import PortfolioKey
from app.ledger.service.portfolio_statements import load_statement_at_instant
from app.ledger.service.valuation import QuoteReader, list_statement_positions, load_marks, value_positions
from app.money import ZERO
from app.performance import queries
from app.performance.queries import FlowInstant, PortfolioTotals
from app.performance.rules.closes import get_last_close, list_missed_closes
from app.performance.rules.currencies import format_currencies
from app.performance.rules.values import Snapshot
from app.performance.service.summaries import build_summary_events

CLOSE = "close"
MAX_PORTFOLIOS = 500  # per transaction
FLOW_OVERLAP = timedelta(minutes=1)
WRITE_DELAY = timedelta(seconds=2)  # rows of an instant may reach the database that much later


class SnapshotService:
    """Takes the snapshots of all tenants."""

    def __init__(
        self, engine: Engine, read_quotes: QuoteReader, calendars: Calendars, interval: timedelta, now: Now
    ) -> None:
        self._engine, self._read_quotes, self._calendars = engine, read_quotes, calendars
        self._interval, self._now = interval, now
        self._last_closes: dict[str | None, datetime] = {}  # by calendar, with a snapshot of each portfolio
        self._flows_until = EPOCH  # all flows up to this instant have a snapshot

    def take_interval_snapshots(self, lease: Lease) -> None:
        """Store the equity of each portfolio whose value may have changed in the last interval."""
        at = get_slot(self._interval, self._now() - WRITE_DELAY)
        since, after = at - self._interval, None
        while True:
            with snapshot(self._engine, ALL_TENANTS) as connection:
                states = queries.list_moving_portfolios(connection, since, at, after, MAX_PORTFOLIOS)
                snapshots = self._build_snapshots(connection, states, at, "interval")
            self._store_snapshots(snapshots)
            if len(states) < MAX_PORTFOLIOS:
                return
            after = states[-1].id
            lease.renew()

    def take_close_snapshots(self, lease: Lease) -> None:
        """Store the equity at the last close of each portfolio, and at the closes missed before it."""
        at = self._now() - WRITE_DELAY
        with self._engine.connect() as connection:
            self._calendars.refresh(connection)
        for code in (None, *MarketCode):
            calendar = None if code is None else self._calendars.get_calendar(code)
            last = get_last_close(calendar, at)
            if last == self._last_closes.get(code):
                continue
            while len(self._take_closes(code, calendar, last)) == MAX_PORTFOLIOS:
                lease.renew()
            self._last_closes[code] = last

    def take_flow_snapshots(self, lease: Lease) -> None:
        """Store the equity just after each deposit and withdrawal, so that returns can be chained there."""
        until = self._now() - WRITE_DELAY
        while flows := self._take_flows():
            if len(flows) < MAX_PORTFOLIOS:
                break
            lease.renew()
        self._flows_until = until - FLOW_OVERLAP

    def _take_flows(self) -> list[FlowInstant]:
        snapshots: list[Snapshot] = []
        with snapshot(self._engine, ALL_TENANTS) as connection:
            flows = queries.list_flows_without_snapshot(connection, self._flows_until, MAX_PORTFOLIOS)
            for at, flow_instants in groupby(flows, lambda flow: flow.at):
                states = queries.load_portfolio_totals(
                    connection, [flow.portfolio_id for flow in flow_instants]
                )
                snapshots += self._build_snapshots(connection, states, at, "flow")
        self._store_snapshots(snapshots)
        return flows

    def _take_closes(
        self, code: str | None, calendar: Calendar | None, last: datetime
    ) -> list[PortfolioTotals]:
        snapshots: list[Snapshot] = []
        with snapshot(self._engine, ALL_TENANTS) as connection:
            states = queries.list_portfolios_to_close(connection, code, last, MAX_PORTFOLIOS)
            for at, missing in _group_by_close(connection, states, calendar, last):
                snapshots += self._build_snapshots(connection, missing, at, CLOSE)
            events = build_summary_events(connection, states, snapshots, self._now())
        self._store_snapshots(snapshots, events)
        return states

    def _store_snapshots(self, snapshots: Sequence[Snapshot], events: Sequence[BulkRow] = ()) -> None:
        if snapshots:
            with unit_of_work(self._engine, ALL_TENANTS) as connection:
                execute_writes(
                    connection, queries.build_snapshot_insert(snapshots), build_event_insert(events)
                )

    def _build_snapshots(
        self, connection: Connection, states: Sequence[PortfolioTotals], at: datetime, kind: str
    ) -> list[Snapshot]:
        """Return the snapshots of portfolios at an instant."""
        current: list[PortfolioTotals] = []
        earlier: list[PortfolioTotals] = []
        ids_moved_later = queries.load_ids_moved_after(connection, states, at) if states else set()
        for state in states:
            is_traded_later = state.last_created_at is not None and state.last_created_at > at
            is_current = not is_traded_later and state.id not in ids_moved_later
            (current if is_current else earlier).append(state)
        positions = _list_current_positions(connection, current)
        for state in earlier:
            past, open_positions = _read_past(connection, state, at)
            current.append(past)
            positions += open_positions
        exposures = value_positions(connection, self._read_quotes, positions, at)
        currencies = self._value_currencies(connection, positions, at) if kind == CLOSE else {}
        keys = [PortfolioKey(state.tenant_id, state.id) for state in current]
        flows = sum_flows(connection, keys, at)
        return [
            build_snapshot(state, exposures.get(key, NO_EXPOSURE), flows.get(key, ZERO), at, kind)._replace(
                currencies=currencies.get(key)
            )
            for key, state in zip(keys, current, strict=True)
        ]

    def _value_currencies(
        self, connection: Connection, positions: Sequence[PositionToValue], at: datetime
    ) -> dict[PortfolioKey, str]:
        """Return the positions in other currencies as they are stored, by portfolio."""
        foreign = [position for position in positions if position.currency is not None]
        if not foreign:
            return {}
        marks = load_marks(connection, self._read_quotes, foreign, at)
        return {key: format_currencies(values) for key, values in value_currencies(foreign, marks).items()}


def build_snapshot(
    state: PortfolioTotals, exposure: PortfolioExposure, flows: Decimal, at: datetime, kind: str
) -> Snapshot:
    """Return the snapshot of a portfolio. Its charges are paid-in cash plus earnings, less equity."""
    equity = state.cash + exposure.net
    paid_in = state.opening_cash + state.moved_cash
    earned_amount = state.realized_pnl + exposure.unrealized_pnl
    return Snapshot(
        tenant_id=state.tenant_id,
        portfolio_id=state.id,
        at=at,
        kind=kind,
        cash=state.cash,
        market_value=exposure.net,
        gross_exposure=exposure.gross,
        equity=equity,
        realized_pnl=state.realized_pnl,
        unrealized_pnl=exposure.unrealized_pnl,
        charges=paid_in + earned_amount - equity,
        flows=flows,
    )


def _group_by_close(
    connection: Connection, states: Sequence[PortfolioTotals], calendar: Calendar | None, last: datetime
) -> Iterator[tuple[datetime, list[PortfolioTotals]]]:
    """Yield each close that is missing, with its portfolios."""
    keys = [PortfolioKey(state.tenant_id, state.id) for state in states]
    last_closes = queries.load_last_closes(connection, keys)
    missing: dict[datetime, list[PortfolioTotals]] = {}
    for key, state in zip(keys, states, strict=True):
        for at in list_missed_closes(calendar, last_closes.get(key), last):
            missing.setdefault(at, []).append(state)
    yield from sorted(missing.items())


def _list_current_positions(
    connection: Connection, states: Sequence[PortfolioTotals]
) -> list[PositionToValue]:
    if not states:
        return []
    tenants = {state.tenant_id for state in states}
    ids = [state.id for state in states]
    return list_positions_to_value(
        connection, PositionRow.tenant_id.in_(tenants), PositionRow.portfolio_id.in_(ids)
    )


def _read_past(
    connection: Connection, state: PortfolioTotals, at: datetime
) -> tuple[PortfolioTotals, list[PositionToValue]]:
    """Return a portfolio and its open positions as they were at an earlier instant."""
    book = load_portfolio_summary(connection, state.tenant_id, state.id)
    statement = load_statement_at_instant(connection, state.tenant_id, book, at)
    cash, realized_pnl = Decimal(statement.summary.cash), Decimal(statement.summary.realized_pnl)
    moved_cash = Decimal(statement.summary.moved_cash)
    past = state._replace(cash=cash, moved_cash=moved_cash, realized_pnl=realized_pnl)
    return past, list(list_statement_positions(state.tenant_id, statement))
