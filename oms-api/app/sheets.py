"""Writes an export to a Google spreadsheet: `python -m app.sheets trades --spreadsheet ID`.

It needs the optional package `gspread`, and SHEETS_CREDENTIALS_FILE with the key of a service account that
may edit the spreadsheet. Exit status: 0 written, 1 Google refused, 2 the input is not valid.
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import datetime
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from app.assembly.components import Components, assemble
from app.clock import SteadyClock
from app.config import ConfigurationError, load_settings
from app.database import snapshot
from app.database.failures import format_reason
from app.exports.queries import ExportFilter
from app.exports.rules.tables import build_sheet_rows
from app.exports.service.pages import ExportContext
from app.exports.service.sources import EXPORT_BUILDERS
from app.identity.queries.tenants import find_tenant
from app.identity.rules.access import Caller, Scope
from app.logs import AccessLog
from app.orders.service.exit_prices import load_exit_prices
from app.text import name_key

WRITTEN, REFUSED, INVALID = 0, 1, 2
MAX_CELLS = 2_000_000  # of the 10 million that a spreadsheet has, so that one request is enough
PAGE_ROWS = 2_000
TIMEOUT_SECONDS = 60.0
_SCOPES = ("https://www.googleapis.com/auth/spreadsheets",)


class CannotExport(Exception):
    """Raised when the input is not valid, or the installation cannot write spreadsheets."""


def read_rows(components: Components, arguments: argparse.Namespace) -> list[list[Any]]:
    """Return the heading and the rows of an export. Raises CannotExport."""
    with snapshot(components.engine) as connection:
        tenant = find_tenant(connection, arguments.tenant)
    if tenant is None:
        raise CannotExport(f"There is no tenant {arguments.tenant!r}.")
    portfolio = None if arguments.portfolio is None else name_key(arguments.portfolio)
    filters = ExportFilter(tenant.id, portfolio, arguments.since, arguments.until)
    caller = Caller(tenant.id, "sheets", "sheets", frozenset({Scope.READ}))
    source = EXPORT_BUILDERS[arguments.table](
        ExportContext(
            caller,
            filters,
            components.market,
            load_exit_prices,
            components.cash_reader,
            components.valuer,
            components.now(),
        )
    )
    rows: list[list[Any]] = [[column.name for column in source.columns]]
    position = None
    while True:
        with snapshot(components.engine, tenant.id) as connection:
            page = source.read_page(connection, position, PAGE_ROWS)
        rows += build_sheet_rows(source.columns, page.rows)
        if len(rows) * len(source.columns) > MAX_CELLS:
            raise CannotExport("The export is too large for one request. Shorten the period with --from.")
        position = page.position
        if position is None:
            return rows


def write_rows(
    credentials_file: Path, spreadsheet: str, worksheet: str, rows: Sequence[Sequence[Any]]
) -> None:
    """Write rows from the first cell of a worksheet on, by one request. Google interprets no value."""
    accounts = import_module("google.oauth2.service_account")
    credentials = accounts.Credentials.from_service_account_file(str(credentials_file), scopes=_SCOPES)
    client = import_module("gspread.http_client").HTTPClient(credentials)
    client.set_timeout(TIMEOUT_SECONDS)
    quoted_name = worksheet.replace("'", "''")
    ranges = [{"range": f"'{quoted_name}'!A1", "majorDimension": "ROWS", "values": rows}]
    client.values_batch_update(spreadsheet, {"valueInputOption": "RAW", "data": ranges})


def run(arguments: argparse.Namespace) -> int:
    """Write the export, and return the number of its rows. Raises CannotExport."""
    if find_spec("gspread") is None:
        raise CannotExport("Spreadsheets need the package `gspread`: install requirements-sheets.txt.")
    settings = load_settings()
    if settings.sheets_credentials_file is None or not settings.sheets_credentials_file.is_file():
        raise CannotExport("SHEETS_CREDENTIALS_FILE must name the key file of a Google service account.")
    components = assemble(settings, SteadyClock(), AccessLog(as_json=False))
    try:
        rows = read_rows(components, arguments)
    finally:
        components.readers.close()
        components.engine.dispose()
    write_rows(settings.sheets_credentials_file, arguments.spreadsheet, arguments.worksheet, rows)
    return len(rows) - 1


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the arguments. Exit with status 2 if they are not valid."""
    parser = argparse.ArgumentParser(prog="python -m app.sheets", description=__doc__)
    parser.add_argument("table", choices=list(EXPORT_BUILDERS))
    parser.add_argument("--spreadsheet", required=True, help="the ID in the address of the spreadsheet")
    parser.add_argument("--worksheet", default="Sheet1", help="the name of the worksheet (default: Sheet1)")
    parser.add_argument("--tenant", default="default", help="the tenant's slug (default: default)")
    parser.add_argument("--portfolio", help="the name of a portfolio (default: all)")
    parser.add_argument("--from", dest="since", type=_parse_instant, help="recorded at this instant or later")
    parser.add_argument("--to", dest="until", type=_parse_instant, help="recorded before this instant")
    return parser.parse_args(arguments)


def _parse_instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError("a time zone is missing")
    return instant


def main(arguments: Sequence[str] | None = None) -> int:
    """Write an export, and return the exit status."""
    export_arguments = parse_arguments(arguments)
    try:
        count = run(export_arguments)
    except (ConfigurationError, CannotExport) as error:
        sys.stderr.write(f"{error}\n")
        return INVALID
    except SQLAlchemyError as error:
        sys.stderr.write(f"The database cannot be used: {format_reason(error)}. Check DATABASE_URL.\n")
        return INVALID
    except Exception as error:  # noqa: BLE001  # the library and its transport have their own errors
        sys.stderr.write(f"The spreadsheet was not written: {error}\n")
        return REFUSED
    sys.stdout.write(f"{count:,} rows written\n")
    return WRITTEN


if __name__ == "__main__":
    sys.exit(main())
