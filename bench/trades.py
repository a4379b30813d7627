"""`POST /trade` with one API process, on PostgreSQL and on SQLite, compared with pgbench in the same run."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from bench.disk import scratch
from bench.limit import CLIENTS, Limit, Script, open_books, pgbench
from bench.postgres import Server, postgres
from bench.report import Line, at_least, at_most, median, show
from bench.service import Load, api, fresh_key, migrate

MUST = {"PostgreSQL": 0.5, "SQLite": 0.4}
REACH = {"PostgreSQL": 1.0, "SQLite": 0.8}
P99_MUST, P99_REACH = 40.0, 15.0
ROUNDS, SECONDS = 5, 5.0

Databases = dict[str, Callable[[], str]]  # by name, a function that creates a database and returns its URL


@dataclass(frozen=True, slots=True)
class Round:
    """One round of all measurements. `bare` is the mean of pgbench just before and just after the load."""

    bare: dict[str, float]
    full: Limit
    loads: dict[str, Load]

    def ratio(self, name: str) -> float:
        """Return the load on that database divided by pgbench's limit."""
        return self.loads[name].rate / self.bare[name]


def measure(rounds: int, seconds: float) -> list[Line]:
    """Return the lines of the table: medians of the rounds."""
    with scratch() as folder, postgres(folder) as server:
        print(f"PostgreSQL {server.version}; pgbench with {CLIENTS} clients", flush=True)
        migrate(server.fresh_database("pgbench"), fresh_key())
        open_books(server, "pgbench")
        turns = count()

        def limit(script: Script) -> Limit:
            return pgbench(server, "pgbench", folder, script, next(turns), int(seconds))

        done = [_round(limit, _databases(server, folder, turn), folder, seconds) for turn in range(rounds)]
    return [line for name in MUST for line in _lines(name, done)]


def _round(limit: Callable[[Script], Limit], databases: Databases, folder: Path, seconds: float) -> Round:
    full, before = limit(Script.FULL), limit(Script.BARE)
    print(f"pgbench: insert + upsert {before}; with outbox and portfolio {full}", flush=True)
    one = Round({}, full, {})
    for name, database in databases.items():
        one.loads[name] = load = _drive(database(), folder, seconds)
        after = limit(Script.BARE)
        one.bare[name] = (before.rate + after.rate) / 2
        before = after
        print(f"  {name}: {load.rate:,.0f}/s, {one.ratio(name):.2f} of pgbench; {load}; {after}", flush=True)
    return one


def _databases(server: Server, folder: Path, turn: int) -> Databases:
    return {
        "PostgreSQL": lambda: server.fresh_database("trades"),
        "SQLite": lambda: f"sqlite:///{folder}/trades-{turn}.db",
    }


def _drive(database_url: str, folder: Path, seconds: float) -> Load:
    key = fresh_key()
    migrate(database_url, key)
    with api(database_url, folder / "api.log", key) as service:
        return service.load("trades", seconds)


def _lines(name: str, done: list[Round]) -> list[Line]:
    loads = [one.loads[name] for one in done]
    ratio = median([one.ratio(name) for one in done])
    of_full = median([one.loads[name].rate / one.full.rate for one in done])
    p50, p99 = median([load.p50 for load in loads]), median([load.p99 for load in loads])
    rate = median([load.rate for load in loads])
    what = f"POST /trade on {name}, {rate:,.0f}/s, of pgbench ({of_full:.2f} of the full limit)"
    return [
        Line(what, f"{ratio:.2f}", at_least(ratio, MUST[name], REACH[name])),
        Line(
            f"its p99 at 64 connections (p50 {p50:.1f} ms, max {max(load.max for load in loads):.1f} ms)",
            f"{p99:.1f} ms",
            at_most(p99, P99_MUST, P99_REACH),
        ),
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    asked = parser.parse_args()
    show(measure(asked.rounds, asked.seconds))
