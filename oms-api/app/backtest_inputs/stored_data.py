"""Open the bars that the service stores, for `python -m app.backtest --data bars`."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from app.assembly.components import create_market
from app.backtest_inputs.bars import STORED, OpenBars, ReportProgress, list_names
from app.backtests.errors import InvalidBacktest
from app.backtests.rules.blocks import BarBlock
from app.backtests.rules.currency_pairs import parse_pairs
from app.backtests.service.stored_bars import StoredBars
from app.calendars.service import Calendars
from app.clock import Now, SteadyClock
from app.command_line import open_database
from app.config import ConfigurationError, Settings, load_settings
from app.database import Readers, set_tenant_scope, snapshot
from app.database.failures import format_reason
from app.identity.queries.tenants import find_tenant
from app.identity.rules.access import FIRST_TENANT
from app.instruments.queries import load_symbol
from app.ledger.queries.corporate_actions import list_actions_of_symbols


@contextmanager
def open_stored(namespace: argparse.Namespace) -> Iterator[OpenBars]:
    """Open the bars of the arguments. Raises InvalidBacktest."""
    try:
        with _open_stored_bars(namespace) as bars:
            yield bars
    except ConfigurationError as error:
        raise InvalidBacktest(str(error)) from None
    except SQLAlchemyError as error:
        reason = format_reason(error)
        raise InvalidBacktest(f"The database cannot be used: {reason}. Check DATABASE_URL.") from None


@contextmanager
def _open_stored_bars(namespace: argparse.Namespace) -> Iterator[OpenBars]:
    names, now = list_names(namespace), SteadyClock()
    if not names or namespace.start is None:
        raise InvalidBacktest(f"--data {STORED} needs --symbols and --from.")
    settings = load_settings()
    with open_database(settings) as (engine, readers):
        yield _read_stored(namespace, settings, engine, readers, now)


def _read_stored(
    namespace: argparse.Namespace, settings: Settings, engine: Engine, readers: Readers, now: Now
) -> OpenBars:
    since = datetime.fromtimestamp(namespace.start, UTC)
    until = now() if namespace.end is None else datetime.fromtimestamp(namespace.end, UTC)
    market = create_market(settings, engine, readers, Calendars.load())
    with snapshot(engine) as connection:
        tenant_id = _find_tenant_id(connection, namespace.tenant)
        set_tenant_scope(connection, [tenant_id])
        symbols = sorted({load_symbol(connection, tenant_id, name) for name in list_names(namespace)})
        actions = list_actions_of_symbols(connection, tenant_id, symbols, (since, until))
    try:
        pairs = [
            currency_pair
            for currency_pair in parse_pairs(namespace.rates or "")
            if currency_pair not in symbols
        ]
    except ValueError as error:
        raise InvalidBacktest(f"--rates: {error}.") from None
    names = [*symbols, *pairs]
    bars = StoredBars(engine, market, tenant_id, names, namespace.interval, (since, until), now)

    def read_blocks(report: ReportProgress) -> Iterator[BarBlock]:
        return bars.read_blocks(lambda at: report(int((at - since).total_seconds())))

    size = max(int((until - since).total_seconds()), 1)
    return OpenBars(symbols, size, "seconds", read_blocks, lambda: bars.data_hash, tuple(actions), pairs)


def _find_tenant_id(connection: Connection, slug: str | None) -> int:
    if slug is None:
        return FIRST_TENANT
    tenant = find_tenant(connection, slug)
    if tenant is None:
        raise InvalidBacktest(f"There is no tenant {slug!r}.")
    return tenant.id
