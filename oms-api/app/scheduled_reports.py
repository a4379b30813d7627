"""Writes the reports of each day to a folder, and posts a summary to a URL, such as a webhook of Slack."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import orjson
from sqlalchemy import Connection, Engine

from app.clock import Now
from app.database import set_tenant_scope, snapshot
from app.duties.service import Lease
from app.exports.queries import ExportFilter
from app.exports.rules.tables import CellKind, build_columns
from app.exports.service.csv_export import CsvExport
from app.exports.service.pages import ExportContext, Page, Source
from app.exports.service.sources import SOURCES
from app.exports.service.xlsx_export import XlsxExport
from app.identity.queries.tenants import TenantRow, find_tenant
from app.identity.rules.access import Caller, Scope
from app.ledger.queries.reading import find_books, list_books
from app.ledger.rules.equity import PortfolioValue
from app.ledger.service.cash_figures import CashReader
from app.ledger.service.exits import ExitsReader
from app.ledger.service.reading import Statement
from app.ledger.service.valuation import Valuer, value_statements
from app.market_data.service import Market
from app.money import fixed, money_text, ratio
from app.risk.rules.limits import Subject
from app.risk.service.controls import Controls
from app.text import name_key
from app.webhooks.service.sender import WebhookSender

DAY = timedelta(days=1)
MAX_PORTFOLIOS = 1_000
MAX_LINES = 30  # of the summary
_TABLES = ("pnl", "trades")
_AMOUNTS = "equity gross_exposure max_gross_exposure net_exposure max_net_exposure day_pnl max_daily_loss"
_USES = "gross_use_percent net_use_percent loss_use_percent"
RISK_COLUMNS = build_columns(
    f"portfolio_name currency {_AMOUNTS} {_USES}",
    dict.fromkeys(_AMOUNTS.split(), CellKind.AMOUNT) | dict.fromkeys(_USES.split(), CellKind.AMOUNT),
)


class ReportTargets(NamedTuple):
    """Where reports go. `folder` and `url` may be None; `slugs` are the tenants that are reported."""

    folder: Path | None
    url: str | None
    slugs: tuple[str, ...]
    file_format: str


class ReportSources(NamedTuple):
    """What reports are read with."""

    market: Market
    exits: ExitsReader
    cash_reader: CashReader
    valuer: Valuer


class PostFailed(Exception):
    """The summary was not accepted."""


class DailyReports:
    """The reports of the previous day, in UTC: P&L, trades, and how much of each limit is in use."""

    def __init__(
        self, engine: Engine, sources: ReportSources, targets: ReportTargets, sender: WebhookSender, now: Now
    ) -> None:
        self._engine, self._sources, self._targets = engine, sources, targets
        self._sender, self._now, self._controls = sender, now, Controls()

    def write(self, lease: Lease) -> None:
        """Write and post the reports. A repetition replaces the files. Raise PostFailed or OSError."""
        now = self._now()
        day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - DAY
        for slug in self._targets.slugs:
            with snapshot(self._engine) as connection:
                tenant = find_tenant(connection, slug)
                if tenant is None:
                    continue
                set_tenant_scope(connection, [tenant.id])
                if self._targets.folder is not None:
                    self._write_files(
                        connection, tenant, self._targets.folder / slug / f"{day:%Y-%m-%d}", day
                    )
                values = self._value_portfolios(connection, tenant.id, now)
            lease.renew()
            if self._targets.url is not None:
                self._post(tenant, day, build_summary(slug, day, values))

    def _write_files(self, connection: Connection, tenant: TenantRow, folder: Path, day: datetime) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        filters = ExportFilter(tenant.id, None, day, day + DAY)
        caller = Caller(tenant.id, "reports", "reports", frozenset({Scope.READ}))
        market, exits, cash_reader, _ = self._sources
        context = ExportContext(caller, filters, market, exits, cash_reader, self._now())
        found = {name: SOURCES[name](context) for name in _TABLES}
        values = self._value_portfolios(connection, tenant.id, self._now())
        rows = list(self._list_risk_rows(connection, tenant.id, values))
        found["risk"] = Source(RISK_COLUMNS, lambda *_: Page(rows, None))
        write = _write_xlsx if self._targets.file_format == "xlsx" else _write_csv
        for name, source in found.items():
            path = folder / f"{name}.{self._targets.file_format}"
            part = path.with_suffix(".part")
            write(connection, source, part)
            part.replace(path)

    def _value_portfolios(
        self, connection: Connection, tenant_id: int, now: datetime
    ) -> dict[str, tuple[Statement, PortfolioValue]]:
        names = [book.name for book in list_books(connection, tenant_id, None, MAX_PORTFOLIOS, None, None)]
        books = find_books(connection, tenant_id, list(map(name_key, names)))
        statements = {book.id: Statement(book, holdings) for book, holdings in books.values()}
        values = value_statements(connection, self._sources.valuer, tenant_id, statements, now)
        return {statement.book.name: (statement, values[number]) for number, statement in statements.items()}

    def _list_risk_rows(
        self, connection: Connection, tenant_id: int, values: dict[str, tuple[Statement, PortfolioValue]]
    ) -> Iterator[list[str | None]]:
        self._controls.refresh(connection, [tenant_id], self._now())
        for name, (statement, value) in sorted(values.items()):
            limits = self._controls.limits(tenant_id, Subject(name_key(name), "", is_live=False))
            uses = (
                (value.exposure.gross, limits.max_gross_exposure),
                (abs(value.exposure.net), limits.max_net_exposure),
                (max(-value.day_pnl, Decimal(0)), limits.max_daily_loss),
            )
            amounts = (
                *(value.equity, value.exposure.gross, limits.max_gross_exposure, value.exposure.net),
                *(limits.max_net_exposure, value.day_pnl, limits.max_daily_loss),
            )
            texts = [None if amount is None else _format(amount) for amount in amounts]
            yield [name, statement.book.base_currency, *texts, *(_format_use(*use) for use in uses)]

    def _post(self, tenant: TenantRow, day: datetime, text: str) -> None:
        headers = {"Content-Type": "application/json", "webhook-id": f"report-{tenant.slug}-{day:%Y-%m-%d}"}
        body = orjson.dumps({"text": text})
        result = asyncio.run(self._sender.send(tenant.id, self._targets.url or "", headers, body))
        if result.error is not None or not 200 <= (result.status or 0) < 300:
            raise PostFailed(result.error or f"The URL of the reports answered {result.status}.")


def build_summary(slug: str, day: datetime, values: dict[str, tuple[Statement, PortfolioValue]]) -> str:
    """Return the text of a day: a line for each portfolio, the largest first."""
    lines = [f"*{slug}, {day:%Y-%m-%d}*: equity, P&L since the last close, P&L in total"]
    ranked = sorted(values.items(), key=lambda item: -item[1][1].equity)
    for name, (statement, value) in ranked[:MAX_LINES]:
        figures = (value.equity, value.day_pnl, value.total_pnl)
        plain = name.replace("<", "&lt;").replace(">", "&gt;")
        lines.append(f"{plain}: {' / '.join(map(_format, figures))} {statement.book.base_currency}")
    if len(ranked) > MAX_LINES:
        lines.append(f"… and {len(ranked) - MAX_LINES} more portfolios")
    return "\n".join(lines)


def _format(amount: Decimal) -> str:
    return money_text(fixed(amount))


def _format_use(used: Decimal, limit: Decimal | None) -> str | None:
    if not limit:
        return None
    return _format(ratio(used * 100, limit))


def _write_csv(connection: Connection, source: Source, path: Path) -> None:
    export = CsvExport(source)
    with path.open("wb") as file:
        while not export.is_over:
            file.write(export.format_page(export.read_page(connection)))


def _write_xlsx(connection: Connection, source: Source, path: Path) -> None:
    with closing(XlsxExport(source)) as export, path.open("wb") as file:
        while not export.write_page(connection):
            continue
        export.finish()
        read: Callable[[], bytes] = export.read
        while piece := read():
            file.write(piece)
