"""Loads of the API with one process or several, compared with pgbench in the same run."""

import os
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import NamedTuple

from bench.disk import create_scratch_folder
from bench.limit import CLIENTS, Script, open_books, run_pgbench
from bench.load import PORTFOLIOS, list_portfolio_names
from bench.postgres import Server, run_postgres
from bench.report import ResultLine, check_at_least, check_at_most, median
from bench.service import LoadResult, generate_key, migrate, run_api
from bench.speed_index import MAX_FAST_SECONDS, measure_seconds

CORES = os.cpu_count() or 1
MANY_PORTFOLIOS = 200


class Bounds(NamedTuple):
    """A value for a fast machine, and one for all others."""

    fast: float
    slow: float


@dataclass(frozen=True, slots=True)
class Case:
    """A load. `must` and `reach` are its rate (items per second) divided by pgbench's bare limit."""

    name: str
    path: str
    must: Bounds
    reach: Bounds
    workers: int = 1
    portfolios: int = PORTFOLIOS
    items: int = 1  # per request
    is_sqlite: bool = False
    p99: tuple[Bounds, Bounds] | None = None


@dataclass(frozen=True, slots=True)
class CaseResult:
    """The result of one round of a case. `bare` is the mean of pgbench just before and just after it."""

    load: LoadResult
    rate: float
    bare: float

    @property
    def ratio(self) -> float:
        """The rate divided by pgbench's limit."""
        return self.rate / self.bare


def measure(cases: list[Case], rounds: int, seconds: float) -> list[ResultLine]:
    """Return the lines of the table: medians of the rounds, which measure all cases in turn."""
    is_fast = measure_seconds() <= MAX_FAST_SECONDS
    results: dict[str, list[CaseResult]] = {case.name: [] for case in cases}
    with create_scratch_folder() as folder, run_postgres(folder) as server:
        print(f"PostgreSQL {server.version}; pgbench with {CLIENTS} clients", flush=True)
        migrate(server.create_database("pgbench"), generate_key())
        open_books(server, "pgbench")
        turns = count()

        def limit(script: Script = Script.BARE) -> float:
            return run_pgbench(server, "pgbench", folder, script, next(turns), int(seconds)).rate

        full, before = limit(Script.FULL), limit()
        print(
            f"pgbench: insert + upsert {before:,.0f}/s; with outbox and portfolio {full:,.0f}/s", flush=True
        )
        for turn in range(rounds):
            for case in cases:
                load = _measure_load(case, server, folder, seconds, turn)
                after = limit()
                result = CaseResult(load, load.rate * case.items, (before + after) / 2)
                before = after
                results[case.name].append(result)
                print(
                    f"  {case.name}: {result.rate:,.0f}/s, {result.ratio:.2f} of pgbench "
                    f"({result.bare:,.0f}/s); {load}",
                    flush=True,
                )
    lines = [line for case in cases for line in _build_lines(case, results[case.name], is_fast)]
    return lines + _compare_cases(cases, results)


def _measure_load(case: Case, server: Server, folder: Path, seconds: float, turn: int) -> LoadResult:
    key = generate_key()
    sqlite = f"sqlite:///{folder}/{case.path}-{turn}.db"
    database_url = sqlite if case.is_sqlite else server.create_database(case.path)
    migrate(database_url, key)
    with run_api(database_url, folder / "api.log", key, workers=case.workers) as service:
        if case.path == "orders":
            service.open_portfolios(list_portfolio_names(case.portfolios))
        postgres_server = None if case.is_sqlite else server
        return service.load(case.path, seconds, portfolios=case.portfolios, server=postgres_server)


def _build_lines(case: Case, results: list[CaseResult], is_fast: bool) -> list[ResultLine]:
    ratio, rate = median([result.ratio for result in results]), median([result.rate for result in results])
    api_time = median([result.load.api_microseconds for result in results])
    server_time = median([result.load.database_microseconds for result in results])
    must, reach = (bounds.fast if is_fast else bounds.slow for bounds in (case.must, case.reach))
    lines = [
        ResultLine(
            f"{case.name}, {rate:,.0f}/s, of pgbench", f"{ratio:.2f}", check_at_least(ratio, must, reach)
        ),
        ResultLine(
            "processor time of a request in the API, in the server", f"{api_time:.0f}, {server_time:.0f} µs"
        ),
    ]
    p99 = median([result.load.p99 for result in results])
    outcome = ""
    if case.p99 is not None:
        outcome = check_at_most(p99, *(bounds.fast if is_fast else bounds.slow for bounds in case.p99))
    return [*lines, ResultLine("p99 at 64 connections", f"{p99:.1f} ms", outcome)]


def _compare_cases(cases: list[Case], results: dict[str, list[CaseResult]]) -> list[ResultLine]:
    """Return the lines that compare several processes with the first case, which has one."""
    first_result, lines = results[cases[0].name], []
    for case in cases:
        if case.workers > 1 and case.path == cases[0].path:
            gain = median(
                [
                    result.ratio / single.ratio
                    for result, single in zip(results[case.name], first_result, strict=True)
                ]
            )
            label = f"{case.name}, compared with one process"
            lines.append(ResultLine(label, f"{gain:.2f} ×", check_at_least(gain, 1.2, 1.6)))
    return lines
