"""Sign off a day: collect the figures of its closes and the open breaks, and store both."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

import orjson
from sqlalchemy import Connection

from app.calendars.rules.values import MarketIdentifier as MarketCode
from app.calendars.service import Calendars
from app.day_close import queries
from app.day_close.errors import CloseNotStored, DayAlreadyClosed, DayNotOver
from app.day_close.queries import ClosedPortfolio
from app.day_close.rules.serialization import serialize_day
from app.day_close.rules.values import (
    DayClose,
    DayFigures,
    OpenBreak,
    build_closed_payload,
    build_closed_values,
    sign_day,
)
from app.day_close.service.breaks import (
    FoundBreak,
    SequenceRange,
    list_mark_breaks,
    list_order_breaks,
    list_row_breaks,
    list_state_breaks,
)
from app.events.rules import NewEvent
from app.events.service.outbox import build_packed_insert
from app.identity.service.change_executor import ChangeRequest, ChangeResult
from app.ledger.queries.portfolios import PortfolioSummary, load_portfolio_summary, load_sequence_at
from app.ledger.service.portfolio_statements import load_statement_at_instant
from app.ledger.service.valuation import Valuer
from app.market_data.service import Market
from app.money import ZERO, format_fixed
from app.performance.queries.closes import StoredClose, find_last_close
from app.performance.rules.closes import get_last_close, get_pnl_date, get_pnl_day_start
from app.reports.service.explanations import ProfitExplainer
from app.reports.service.rates import TenantRates
from app.timestamps import format_optional_timestamp, format_timestamp

DAY_CLOSED = "day.closed"
MAX_STORING_TIME = timedelta(hours=1)  # within which the snapshot of a close may still be stored
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DayCloser:
    """Signs off days. One instance serves a process."""

    market: Market
    valuer: Valuer
    calendars: Calendars

    def close_day(
        self, connection: Connection, request: ChangeRequest, day: date, note: str | None, now: datetime
    ) -> ChangeResult:
        """Store the figures of a day and the breaks that are open now.

        Raises DayAlreadyClosed, DayNotOver, or CloseNotStored if a close is too recent to be stored.
        """
        caller = request.caller
        stored = queries.find_signed_day(connection, caller.tenant_id, day.isoformat())
        if stored is not None:
            raise DayAlreadyClosed(stored.day.date, stored.day.signed_by, stored.day.signed_at)
        self.calendars.refresh(connection)
        collector = _DayFigureCollector(self, connection, caller.tenant_id, day, now)
        figures, breaks = collector.collect()
        rates = collector.list_rates(figures)
        unsigned = DayClose(
            tenant_id=caller.tenant_id, date=day.isoformat(), signed_by=caller.actor, source=caller.name,
            signed_at=format_timestamp(now), note=note, currency=collector.rates.base_currency, rates=rates,
            digest="",
        )  # fmt: skip
        signed = sign_day(unsigned, figures, breaks)
        event = NewEvent(
            caller.tenant_id, DAY_CLOSED, build_closed_payload(signed), format_timestamp(now), day.isoformat()
        )
        queries.insert_signed_day(connection, signed, build_packed_insert([event]))
        entry = request.build_audit_entry(now, DAY_CLOSED, day.isoformat(), None, build_closed_values(signed))
        return ChangeResult(serialize_day(signed), [entry], 201)


class _ClosedDay(NamedTuple):
    """A portfolio whose day ended, when by its calendar, and the close that was stored.

    Stored closes are facts: they stay when the calendar changes later.
    """

    portfolio: ClosedPortfolio
    scheduled_at: datetime | None
    close: StoredClose | None


class _DayFigureCollector:
    """The collection of a day's figures in one transaction."""

    def __init__(
        self, closer: DayCloser, connection: Connection, tenant_id: int, day: date, now: datetime
    ) -> None:
        self._connection, self._tenant_id, self._now = connection, tenant_id, now
        self._calendars, self._market, self._day = closer.calendars, closer.market, day
        self._explainer = ProfitExplainer(connection, closer.market, closer.valuer, tenant_id, now)
        self.rates = TenantRates(connection, closer.market, tenant_id, now)

    def collect(self) -> tuple[list[DayFigures], list[OpenBreak]]:
        """Return the figures of the portfolios that closed on the day, and their open breaks."""
        figures: list[DayFigures] = []
        portfolio_breaks: list[tuple[ClosedPortfolio, FoundBreak]] = []
        for portfolio, scheduled_at, close in self._list_closed():
            if scheduled_at is not None and (close is None or close.at < scheduled_at):
                if self._now - scheduled_at < MAX_STORING_TIME:
                    raise CloseNotStored(portfolio.name, format_timestamp(scheduled_at))
                detail = f"The equity at the close of {format_timestamp(scheduled_at)} was never stored."
                portfolio_breaks.append((portfolio, FoundBreak("missing_close", "", detail)))
            if close is not None:
                figures.append(self._build_figures(portfolio, close))
                portfolio_breaks += (
                    (portfolio, found_break) for found_break in self._list_breaks(portfolio, close)
                )
        day = self._day.isoformat()
        breaks = [
            OpenBreak(self._tenant_id, day, number, portfolio.id, portfolio.name, *found_break)
            for number, (portfolio, found_break) in enumerate(portfolio_breaks, 1)
        ]
        return figures, breaks

    def list_rates(self, figures: list[DayFigures]) -> str:
        """Return the rates to the tenant's currency as they are stored."""
        for day_figures in figures:
            self.rates.find_rate(day_figures.currency)
        used = [
            {"currency": rate.currency, "rate": format_fixed(rate.rate), "age_seconds": f"{rate.age_seconds}"}
            for rate in self.rates.used_rates
        ]
        return orjson.dumps(used).decode()

    def _list_closed(self) -> Iterator["_ClosedDay"]:
        """Yield the portfolios whose P&L day has this date, by their calendar or by a stored close.

        Raises DayNotOver.
        """
        midnight = datetime.combine(self._day, time(tzinfo=UTC)) + _DAY
        has_closed = False
        for portfolio in queries.list_portfolios(self._connection, self._tenant_id):
            scheduled_at = self._find_scheduled_close(portfolio, midnight)
            if scheduled_at is not None and scheduled_at > self._now:
                raise DayNotOver(self._day.isoformat(), format_timestamp(scheduled_at))
            close = find_last_close(self._connection, self._tenant_id, portfolio.id, midnight)
            if close is not None and get_pnl_date(close.at) != self._day:
                close = None
            if scheduled_at is not None or close is not None:
                has_closed = True
                yield _ClosedDay(portfolio, scheduled_at, close)
        if not has_closed and midnight > self._now:
            raise DayNotOver(self._day.isoformat(), format_timestamp(midnight))

    def _find_scheduled_close(self, portfolio: ClosedPortfolio, midnight: datetime) -> datetime | None:
        """Return the close of the day by the portfolio's calendar, None if it has none on the date."""
        code = portfolio.calendar
        calendar = None if code is None else self._calendars.get_calendar(MarketCode(code))
        closed_at = get_last_close(calendar, midnight)
        is_of_day = get_pnl_date(closed_at) == self._day and portfolio.created_at <= closed_at
        return closed_at if is_of_day else None

    def _build_figures(self, portfolio: ClosedPortfolio, close: StoredClose) -> DayFigures:
        summary = load_portfolio_summary(self._connection, self._tenant_id, portfolio.id)
        explained = self._explainer.explain_close(summary, close)
        before = self._find_close_before(portfolio, close)
        parts, rows = explained.parts, self._find_rows(summary, explained.start, close)
        return DayFigures(
            tenant_id=self._tenant_id,
            date=self._day.isoformat(),
            portfolio_id=portfolio.id,
            portfolio_name=portfolio.name,
            currency=summary.base_currency,
            started_at=format_optional_timestamp(explained.start),
            ended_at=format_timestamp(close.at),
            trades=queries.count_trades(self._connection, self._tenant_id, portfolio.id, *rows),
            cash=format_fixed(close.cash),
            market_value=format_fixed(close.market_value),
            gross_exposure=format_fixed(close.gross_exposure),
            equity=format_fixed(close.equity),
            flows=format_fixed(close.flows - (ZERO if before is None else before.flows)),
            realized_pnl=format_fixed(close.realized_pnl - (ZERO if before is None else before.realized_pnl)),
            price=format_fixed(parts.price),
            exchange=format_fixed(parts.currency),
            interest=format_fixed(parts.interest),
            borrow=format_fixed(parts.borrow),
            dividends=format_fixed(parts.dividends),
            fees=format_fixed(parts.fees),
            adjustments=format_fixed(parts.adjustments),
            day_pnl=format_fixed(parts.total),
        )

    def _list_breaks(self, portfolio: ClosedPortfolio, close: StoredClose) -> Iterator[FoundBreak]:
        connection, tenant_id = self._connection, self._tenant_id
        summary = load_portfolio_summary(connection, tenant_id, portfolio.id)
        before = self._find_close_before(portfolio, close)
        rows = self._find_rows(summary, None if before is None else before.at, close)
        statement = load_statement_at_instant(connection, tenant_id, summary, close.at)
        yield from list_order_breaks(connection, tenant_id, portfolio.id)
        yield from list_mark_breaks(connection, self._market, tenant_id, statement, close)
        yield from list_row_breaks(connection, tenant_id, portfolio.id, rows, close)
        yield from list_state_breaks(portfolio)
        if self.rates.find_rate(summary.base_currency) is None:
            yield FoundBreak(
                "missing_rate", summary.base_currency, "The currency has no rate to the tenant's."
            )

    def _find_close_before(self, portfolio: ClosedPortfolio, close: StoredClose) -> StoredClose | None:
        """Return the last close of an earlier day."""
        until = get_pnl_day_start(close.at)
        return find_last_close(self._connection, self._tenant_id, portfolio.id, until)

    def _find_rows(
        self, summary: PortfolioSummary, start: datetime | None, close: StoredClose
    ) -> SequenceRange:
        first = 0 if start is None else load_sequence_at(self._connection, self._tenant_id, summary, start)
        return SequenceRange(first, load_sequence_at(self._connection, self._tenant_id, summary, close.at))
