"""The time from the delivery of a bar to a strategy until the paper broker accepts its order.

The service runs in this process, without HTTP for the strategy, on PostgreSQL. A strategy places one order at
each bar; the next bar is delivered when the host has saved the state after the one before. The same strategy
runs in a sandbox and in the process of the service, which get their bars in turn.
`PYTHONPATH=oms-api python -m bench.strategies [--bars 300]`.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from time import perf_counter
from typing import NamedTuple

import orjson
from fastapi.testclient import TestClient
from sqlalchemy import Engine
from starlette.datastructures import State

from app.clock import utc_now
from app.config import Settings
from app.database import connect_engine, set_tenant_scope, snapshot
from app.main import create_app
from app.market_data.rules.values import Bar as MarketBar
from app.sandbox.service.policy import SandboxPolicy
from app.strategies.queries.registry import find_strategy
from app.strategies.rules.journal import InputKind, NewInput
from app.strategies.rules.journal_values import serialize_bars
from app.strategies.service.code_catalog import CodeCatalog
from app.strategies.service.host import StrategyHost
from app.strategies.service.order_gateway import OrderGateway
from app.strategies.service.runner_factory import RunnerFactory
from app.strategies.service.session import StrategySession
from bench.disk import create_scratch_folder
from bench.postgres import Server, run_postgres
from bench.report import ResultLine, check_at_most, median, print_lines
from bench.service import generate_key, migrate

BARS, WARM_BARS = 300, 30
_START = datetime(2026, 1, 5, tzinfo=UTC)
_MINUTE = timedelta(minutes=1)
_CODE = "bench.every_bar:EveryBar"
_PLACES = {"sandboxed": "in a sandbox", "trusted": "in the process of the service"}  # by strategy


def measure(server: Server, bars: int = BARS) -> list[ResultLine]:
    """Return the lines of the table."""
    url, key = server.create_database("strategies"), generate_key()
    migrate(url, key)
    settings = Settings(
        _env_file=None, oms_api_key=key, database_url=url, strategy_modules=("bench",), strategy_host="off",
        duties="worker", broker_sessions="off", rate_limit_per_minute=0, log_level="ERROR",
    )  # fmt: skip
    app = create_app(settings)
    with TestClient(app) as client:
        client.headers["X-API-Key"] = key
        client.post("/api/v1/portfolios", json={"name": "Bench"}).raise_for_status()
        for name in _PLACES:
            code = {"name": name, "entry_point": _CODE, "portfolio": "Bench", "symbols": ["AAPL"]}
            client.post("/api/v1/strategies", json=code).raise_for_status()
            client.post(f"/api/v1/strategies/{name}:start", json={}).raise_for_status()
        portal = client.portal
        if portal is None:
            raise RuntimeError("the service did not start")
        engine = connect_engine(url, readers=1, tenant_scoped=True)
        children = [_open_session(app.state, engine, portal.call(_get_loop), name) for name in _PLACES]
        for number in range(WARM_BARS):
            for strategy in children:
                strategy.session.deliver([_build_bar(number)])
        took = [
            [_deliver_bar(child.session, WARM_BARS + number) for child in children] for number in range(bars)
        ]
        for strategy in children:
            strategy.session.close()
        engine.dispose()
    starts = ", ".join(f"{child.start_seconds:.2f} s" for child in children)
    lines = [ResultLine("start of a strategy in a sandbox, in the process of the service", starts)]
    for place, column in zip(_PLACES.values(), zip(*took, strict=True), strict=True):
        p99 = _find_p99(column) * 1000
        lines.append(ResultLine(f"strategy {place}: the same, median", f"{median(column) * 1000:.1f} ms"))
        label = f"strategy {place}, idle service: bar delivered → order accepted on paper, p99"
        lines.append(ResultLine(label, f"{p99:.1f} ms", check_at_most(p99, 50, 15)))
    return lines


class Opened(NamedTuple):
    """A session, and how long its strategy took to start."""

    session: StrategySession
    start_seconds: float


def _find_p99(seconds: Sequence[float]) -> float:
    ranked = sorted(seconds)
    return ranked[min(int(len(ranked) * 0.99), len(ranked) - 1)]


async def _get_loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


def _open_session(state: State, engine: Engine, loop: asyncio.AbstractEventLoop, name: str) -> Opened:
    """Open the session of a strategy, as the host runs it."""
    runners = RunnerFactory(CodeCatalog(["bench"], SandboxPolicy(is_on=name == "sandboxed")))
    host = StrategyHost(engine, state.readers, state.market, state.order_service, runners, utc_now)
    with snapshot(engine) as connection:
        strategy = find_strategy(set_tenant_scope(connection, [1]), 1, name)
    if strategy is None:
        raise RuntimeError("the strategy was not created")
    started = perf_counter()
    session = host.create_session(strategy, OrderGateway(state.order_service, loop))
    session.start()
    return Opened(session, perf_counter() - started)


def _build_bar(number: int) -> NewInput:
    start, price = _START + number * _MINUTE, Decimal(100)
    bars = [serialize_bars("AAPL", 60, [MarketBar("AAPL", start, price, price, price, price)])]
    return NewInput(InputKind.BARS, start + _MINUTE, orjson.dumps({"bars": bars}).decode())


def _deliver_bar(session: StrategySession, number: int) -> float:
    """Return the seconds until the order of a bar is accepted and the state is saved."""
    bar, started = _build_bar(number), perf_counter()
    session.deliver([bar])
    took = perf_counter() - started
    session.run_step()
    return took


def main() -> int:
    """Run the benchmark alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bars", type=int, default=BARS)
    options = parser.parse_args()
    with create_scratch_folder() as folder, run_postgres(folder) as server:
        lines = measure(server, options.bars)
    print_lines(lines)
    return int(any(line.outcome.startswith("MISSED") for line in lines))


if __name__ == "__main__":
    sys.exit(main())
