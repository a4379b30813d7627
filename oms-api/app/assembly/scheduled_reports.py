"""Writes the reports of each day to a folder, announces them to Slack bots, and posts a summary to a URL."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import NamedTuple

import orjson
from sqlalchemy import Connection, Engine

from app.clock import Now
from app.database import ALL_TENANTS, execute_writes, set_tenant_scope, snapshot, unit_of_work
from app.events.service.outbox import build_event_insert
from app.exports.queries import ExportFilter
from app.exports.service.csv_export import CsvExport
from app.exports.service.pages import ExportContext, ExportSource
from app.exports.service.risk import ValuedPortfolio, value_portfolios
from app.exports.service.sources import EXPORT_BUILDERS
from app.exports.service.xlsx_export import XlsxExport
from app.identity.queries.tenants import TenantRow, find_tenant
from app.identity.rules.access import Caller, Scope
from app.jobs.service import Lease
from app.ledger.service.cash_figures import CashReader
from app.ledger.service.positions import ExitsReader
from app.ledger.service.valuation import Valuer
from app.market_data.service import Market
from app.money import format_money
from app.timestamps import format_timestamp
from app.webhooks.service.sender import WebhookSender

DAY = timedelta(days=1)
MAX_LINES = 30  # of the summary
REPORTS = ("pnl", "trades", "risk")  # names of exports
REPORT_READY = "report.ready"


class ReportTargets(NamedTuple):
    """The destinations of reports. `folder` and `url` may be None; `slugs` are the tenants that are reported.

    `is_to_slack` states whether the Slack bot of each tenant uploads the files.
    """

    folder: Path | None
    url: str | None
    slugs: tuple[str, ...]
    file_format: str
    is_to_slack: bool = False


class ReportSources(NamedTuple):
    """The services that reports read from."""

    market: Market
    exits: ExitsReader
    cash_reader: CashReader
    valuer: Valuer


class PostFailed(Exception):
    """Raised when the summary was not accepted."""


class DailyReports:
    """The reports of the previous day, in UTC: P&L, trades, and how much of each limit is in use."""

    def __init__(
        self, engine: Engine, sources: ReportSources, targets: ReportTargets, sender: WebhookSender, now: Now
    ) -> None:
        self._engine, self._sources, self._targets = engine, sources, targets
        self._sender, self._now = sender, now

    def write(self, lease: Lease) -> None:
        """Write, post and announce the reports. A repetition replaces files. Raises PostFailed or OSError."""
        now = self._now()
        day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - DAY
        tenants: list[TenantRow] = []
        for slug in self._targets.slugs:
            with snapshot(self._engine) as connection:
                tenant = find_tenant(connection, slug)
                if tenant is None:
                    continue
                set_tenant_scope(connection, [tenant.id])
                context = self._build_context(tenant.id, day, now)
                if self._targets.folder is not None:
                    self._write_files(connection, context, self._targets.folder / slug / f"{day:%Y-%m-%d}")
                values = value_portfolios(connection, context.valuer, context.filters, now)
            tenants.append(tenant)
            lease.renew()
            if self._targets.url is not None:
                self._post_report(tenant, day, build_summary(slug, day, values))
        if self._targets.is_to_slack and tenants:
            self._publish_reports(
                tenants, day
            )  # last, so that the repetition of a failed run does not upload again

    def _write_files(self, connection: Connection, context: ExportContext, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_file = _write_xlsx if self._targets.file_format == "xlsx" else _write_csv
        for name in REPORTS:
            path = folder / f"{name}.{self._targets.file_format}"
            part = path.with_suffix(".part")
            write_file(connection, EXPORT_BUILDERS[name](context), part)
            part.replace(path)

    def _build_context(self, tenant_id: int, day: datetime, now: datetime) -> ExportContext:
        caller = Caller(tenant_id, "reports", "reports", frozenset({Scope.READ}))
        filters = ExportFilter(tenant_id, None, day, day + DAY)
        return ExportContext(caller, filters, *self._sources, now)

    def _publish_reports(self, tenants: Sequence[TenantRow], day: datetime) -> None:
        """Publish an event for each report and tenant, after which the bot uploads the file to Slack."""
        now, events = format_timestamp(self._now()), []
        for tenant, report in product(tenants, REPORTS):
            payload = {
                "report": report,
                "date": f"{day:%Y-%m-%d}",
                "file_format": self._targets.file_format,
                "period_start": format_timestamp(day),
                "period_end": format_timestamp(day + DAY),
            }
            events.append((tenant.id, REPORT_READY, orjson.dumps(payload).decode(), now))
        with unit_of_work(self._engine, ALL_TENANTS) as connection:
            execute_writes(connection, build_event_insert(events))

    def _post_report(self, tenant: TenantRow, day: datetime, text: str) -> None:
        headers = {"Content-Type": "application/json", "webhook-id": f"report-{tenant.slug}-{day:%Y-%m-%d}"}
        body = orjson.dumps({"text": text})
        result = asyncio.run(self._sender.send(tenant.id, self._targets.url or "", headers, body))
        if result.error is not None or not 200 <= (result.status or 0) < 300:
            raise PostFailed(result.error or f"The URL of the reports answered {result.status}.")


def build_summary(slug: str, day: datetime, values: Mapping[str, ValuedPortfolio]) -> str:
    """Return the text of a day: a line for each portfolio, the largest first."""
    lines = [f"*{slug}, {day:%Y-%m-%d}*: equity, P&L since the last close, P&L in total"]
    ranked = sorted(values.items(), key=lambda item: -item[1][1].equity)
    for name, (statement, value) in ranked[:MAX_LINES]:
        figures = (value.equity, value.day_pnl, value.total_pnl)
        plain = name.replace("<", "&lt;").replace(">", "&gt;")
        lines.append(f"{plain}: {' / '.join(map(format_money, figures))} {statement.summary.base_currency}")
    if len(ranked) > MAX_LINES:
        lines.append(f"… and {len(ranked) - MAX_LINES} more portfolios")
    return "\n".join(lines)


def _write_csv(connection: Connection, source: ExportSource, path: Path) -> None:
    export = CsvExport(source)
    with path.open("wb") as file:
        while not export.is_over:
            file.write(export.format_page(export.read_page(connection)))


def _write_xlsx(connection: Connection, source: ExportSource, path: Path) -> None:
    with closing(XlsxExport(source)) as export, path.open("wb") as file:
        while not export.write_page(connection):
            continue
        export.finish()
        read_chunk: Callable[[], bytes] = export.read
        while chunk := read_chunk():
            file.write(chunk)
