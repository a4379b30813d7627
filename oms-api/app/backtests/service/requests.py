"""Store the backtests that people ask for, and read their results."""

import csv
import gzip
import io
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection

from app.backtests.errors import BacktestNotDone, NoSuchBacktest, TooManyBacktests
from app.backtests.models import IS_UNFINISHED
from app.backtests.queries import BACKTESTS, find_file
from app.backtests.rules.jobs import (
    MAX_BARS,
    Backtest,
    BacktestRequest,
    BacktestStatus,
    InvalidSetting,
    build_settings,
    count_bars,
)
from app.errors import FieldError, Invalid
from app.identity.rules.access import Caller
from app.ids import SortableIds
from app.instruments.queries import load_symbol
from app.market_data.rules.bars import Interval

MAX_BACKTESTS = 1_000  # per tenant
MAX_UNFINISHED = 20  # per tenant
_IDS = SortableIds("B")


class StrategyCode(NamedTuple):
    """The code of a strategy, with the values of its registration, if it is registered."""

    entry_point: str
    code_hash: str
    symbols: tuple[str, ...]
    interval: str | None
    parse_parameters: Callable[[Mapping[str, Any]], str]  # returns JSON text; raises Invalid


FindCode = Callable[[Connection, Caller, str], StrategyCode]  # by name or entry point; raises Invalid
PrepareCode = Callable[[Caller, str], Awaitable[FindCode]]  # inspects the code before the transaction


def create_backtest(
    connection: Connection, caller: Caller, request: BacktestRequest, find_code: FindCode, now: datetime
) -> Backtest:
    """Store a backtest, which waits for a process that runs it. Raises Invalid or TooManyBacktests."""
    tenant_id = caller.tenant_id
    if BACKTESTS.count(connection, tenant_id=tenant_id) >= MAX_BACKTESTS:
        raise TooManyBacktests(f"A tenant keeps at most {MAX_BACKTESTS:,} backtests; delete some first.")
    if BACKTESTS.count(connection, IS_UNFINISHED, tenant_id=tenant_id) >= MAX_UNFINISHED:
        raise TooManyBacktests(f"{MAX_UNFINISHED} backtests are waiting; try again when some are done.")
    code = find_code(connection, caller, request.strategy)
    interval = request.interval or Interval(code.interval or Interval.MINUTE)
    names = request.symbols or code.symbols
    if not names:
        raise _build_refusal("symbols", "Send the symbols.", "missing")
    symbols = sorted({load_symbol(connection, tenant_id, name) for name in names})
    if count_bars(request.since, request.until, interval, len(symbols)) > MAX_BARS:
        message = f"These are more than {MAX_BARS:,} bars; shorten the period or use a longer interval."
        raise _build_refusal("from", message, "too_many_bars")
    settings = orjson.dumps(request.settings, option=orjson.OPT_SORT_KEYS).decode()
    try:
        build_settings(
            interval, request.cash, request.costs, request.settings, request.seed, request.strategy
        )
    except InvalidSetting as error:
        raise _build_refusal(error.name, str(error), "invalid") from None
    backtest = Backtest(
        tenant_id=tenant_id,
        id=_IDS.generate(tenant_id, now),
        strategy=request.strategy,
        entry_point=code.entry_point,
        parameters=code.parse_parameters(request.parameters),
        symbols=" ".join(symbols),
        interval=interval.value,
        since=request.since,
        until=request.until,
        cash=request.cash,
        costs=request.costs,
        settings=settings,
        seed=request.seed,
        status=BacktestStatus.QUEUED,
        code_hash=code.code_hash,
        created_by=caller.actor,
        created_at=now,
    )
    BACKTESTS.insert(connection, backtest)
    return backtest


def require_backtest(connection: Connection, tenant_id: int, backtest_id: str) -> Backtest:
    """Return a backtest. Raises NoSuchBacktest."""
    backtest = BACKTESTS.find(connection, tenant_id=tenant_id, id=backtest_id)
    if backtest is None:
        raise NoSuchBacktest(backtest_id)
    return backtest


def read_file(connection: Connection, tenant_id: int, backtest_id: str, name: str) -> bytes:
    """Return a file of a finished backtest. Raises NoSuchBacktest or BacktestNotDone."""
    backtest = require_backtest(connection, tenant_id, backtest_id)
    content = find_file(connection, tenant_id, backtest_id, name)
    if content is None:
        raise BacktestNotDone(backtest.status)
    return gzip.decompress(content)


def read_rows(content: bytes, first: int, count: int) -> list[dict[str, str | None]]:
    """Return rows of a CSV file by column. An empty cell is None."""
    reader = csv.DictReader(io.StringIO(content.decode()))
    rows = []
    for number, row in enumerate(reader):
        if number >= first + count:
            break
        if number >= first:
            rows.append({name: value or None for name, value in row.items()})
    return rows


def _build_refusal(field: str, message: str, code: str) -> Invalid:
    return Invalid("1 field is not valid; see `errors`.", [FieldError(field, message, code)])
