"""Store the statistics of days that are over, read them, and verify them."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import Connection, Engine

from app.audit.rules.actions import ActionDifference
from app.clock import EPOCH, Now
from app.database import ALL_TENANTS, execute_writes, snapshot, unit_of_work
from app.jobs.service import Lease
from app.money import format_fixed
from app.reports import queries
from app.reports.queries import ReportFilter, StatisticsProgress, StoredDayTotals
from app.reports.rules.profit import DayKey, ProfitTotals, sum_days

MAX_PORTFOLIOS = 500  # per query
STORING_DELAY = timedelta(minutes=5)  # rows of a day may reach the database so much later
_DAY = timedelta(days=1)
_NEVER = datetime.max.replace(tzinfo=UTC)


class DailyStatistics:
    """Stores the statistics of the days of all tenants, once each day."""

    def __init__(self, engine: Engine, now: Now) -> None:
        self._engine, self._now = engine, now
        self._stored_until = EPOCH  # all days before have their rows

    def store(self, lease: Lease) -> None:
        """Store the days that are over and have no row yet, one portfolio per transaction."""
        end, after = _get_day_start((self._now() - STORING_DELAY).date()), 0
        if end == self._stored_until:
            return
        while True:
            with snapshot(self._engine, ALL_TENANTS) as connection:
                page = queries.list_statistics_progress(connection, after, MAX_PORTFOLIOS)
            for portfolio in page:
                if _find_first_missing(portfolio) < end:
                    self._store_days(portfolio, end)
                    lease.renew()
            if len(page) < MAX_PORTFOLIOS:
                break
            after = page[-1].id
        self._stored_until = end

    def _store_days(self, portfolio: StatisticsProgress, end: datetime) -> None:
        tenant_id, since = portfolio.tenant_id, _find_first_missing(portfolio)
        filters = ReportFilter(portfolio.name_key, since=since, until=end)
        with snapshot(self._engine, ALL_TENANTS) as connection:
            days = sum_days(queries.iterate_booked_rows(connection, tenant_id, filters))
        rows = [(tenant_id, portfolio.id, *_build_row(key.day, totals)) for key, totals in days.items()]
        with unit_of_work(self._engine, ALL_TENANTS) as connection:
            execute_writes(connection, queries.build_day_insert(rows))


def read_days(connection: Connection, tenant_id: int, filters: ReportFilter) -> dict[DayKey, ProfitTotals]:
    """Return the statistics of each portfolio and day, computed from the ledger if they are not stored."""
    if filters.symbol is not None or not (_is_midnight(filters.since) and _is_midnight(filters.until)):
        return sum_days(queries.iterate_booked_rows(connection, tenant_id, filters))
    stored_days = queries.list_days(connection, tenant_id, filters)
    missing = map(_find_first_missing, queries.list_statistics_progress(connection, 0, None, tenant_id))
    since = min(missing, default=_NEVER)
    if since == _NEVER:
        return stored_days
    if since > (filters.since or EPOCH):
        filters = replace(filters, since=since)
    return sum_days(queries.iterate_booked_rows(connection, tenant_id, filters)) | stored_days


def verify_daily_stats(connection: Connection) -> Iterator[ActionDifference]:
    """Yield each stored day that differs from the ledger, and each missing day before a stored day."""
    for portfolio, stored_days in queries.iterate_stored_days(connection):
        place = f"daily statistics of portfolio {portfolio.id} of tenant {portfolio.tenant_id}"
        expected: dict[str, StoredDayTotals] = {}
        if portfolio.name_key is not None:
            filters = ReportFilter(portfolio.name_key)
            days = sum_days(queries.iterate_booked_rows(connection, portfolio.tenant_id, filters))
            expected = {key.day.isoformat(): _build_row(key.day, totals) for key, totals in days.items()}
        expected_days = {day for day in expected if day <= max(stored_days)}
        for day in sorted(expected_days | stored_days.keys()):
            day_totals, correct = stored_days.get(day), expected.get(day)
            if day_totals != correct:
                yield ActionDifference(place, day, _describe_row(day_totals), _describe_row(correct))


def _build_row(day: date, totals: ProfitTotals) -> StoredDayTotals:
    amounts = (totals.volume, totals.realized_pnl, totals.charges, totals.max_drawdown)
    return StoredDayTotals(
        day.isoformat(), totals.trades, totals.wins, totals.losses, *map(format_fixed, amounts)
    )


def _describe_row(row: StoredDayTotals | None) -> str:
    return "none" if row is None else " ".join(map(str, row[1:]))


def _find_first_missing(portfolio: StatisticsProgress) -> datetime:
    """Return the start of the first day that may have rows and is not stored, else _NEVER."""
    if portfolio.last_day is None:
        start = _get_day_start((portfolio.created_at - STORING_DELAY).date())
    else:
        start = _get_day_start(date.fromisoformat(portfolio.last_day)) + _DAY
    last = portfolio.last_created_at
    return start if last is not None and last >= start else _NEVER


def _get_day_start(day: date) -> datetime:
    return datetime.combine(day, time(tzinfo=UTC))


def _is_midnight(instant: datetime | None) -> bool:
    return instant is None or instant == _get_day_start(instant.date())
