"""The cost of authentication per request, and `POST /trade` compared with an earlier revision, in pairs.

python -m bench.access                         authentication only
python -m bench.access --against v0.1.0        and trades, compared with that revision of this repository
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from bench.disk import create_scratch_folder
from bench.postgres import Server, run_postgres
from bench.report import ResultLine, check_at_least, check_at_most, median, print_lines
from bench.service import OMS_API, ROOT, LoadResult, generate_key, migrate, run_api

AUTHENTICATION_LIMIT_MICROSECONDS, AUTHENTICATION_TARGET_MICROSECONDS = 60.0, 20.0  # microseconds
KEPT_MUST, KEPT_REACH = 0.95, 1.0
ROUNDS, SECONDS = 5, 5.0
# Runs in the service's own folder and times authentication as routes call it, with a warm cache.
_PROBE = """
import asyncio, json, sys
from time import perf_counter
from sqlalchemy import text
from app.clock import utc_now
from app.config import load_settings
from app.database import connect_engine, unit_of_work
from app.http.direct_routes import RequestInfo
from app.identity.rules.access import Operation
from app.identity.service.keys import store_new_key
from app.main import create_app

settings = load_settings()
with unit_of_work(connect_engine(settings.database_url)) as connection:
    key = store_new_key(connection, "bench", "act_as trade", utc_now()).encode()
authentication = create_app(settings).state.authentication
headers_by_caller = {
    "key": {b"x-api-key": key},
    "person": {b"x-api-key": key, b"x-on-behalf-of": b"slack:T1:U1"},
}

async def best(headers, rounds=50, calls=200):
    request, times = RequestInfo(headers, b"", "/api/v1/trade", "bench"), []
    await authentication.authorize(request, Operation.REPORT_TRADE)
    for _ in range(rounds):
        begin = perf_counter()
        for _ in range(calls):
            await authentication.authorize(request, Operation.REPORT_TRADE)
        times.append((perf_counter() - begin) / calls)
    return sorted(times)[rounds // 2] * 1e6

async def main():
    return {name: await best(headers) for name, headers in headers_by_caller.items()}

print(json.dumps(asyncio.run(main())))
"""


def measure() -> list[ResultLine]:
    """Return the lines for authentication: microseconds per request, the median of 50 × 200."""
    with create_scratch_folder() as folder:
        key, url = generate_key(), f"sqlite:///{folder}/gate.db"
        migrate(url, key)
        settings = {"OMS_API_KEY": key, "DATABASE_URL": url, "RATE_LIMIT_PER_MINUTE": "1000000000"}
        process = subprocess.run(
            [sys.executable, "-c", _PROBE],
            cwd=OMS_API,
            env=os.environ | settings,
            stdout=subprocess.PIPE,
            check=True,
            timeout=120,
        )
    spent = json.loads(process.stdout.splitlines()[-1])
    label_by_caller = {"key": "a key", "person": "a key that acts for a person"}
    return [
        ResultLine(
            f"authentication, limits and authorisation of {label}",
            f"{spent[name]:.1f} µs",
            check_at_most(spent[name], AUTHENTICATION_LIMIT_MICROSECONDS, AUTHENTICATION_TARGET_MICROSECONDS),
        )
        for name, label in label_by_caller.items()
    ]


def compare_revisions(revision: str, rounds: int, seconds: float) -> list[ResultLine]:
    """Return the line of trades: the rate of this tree divided by that of `revision`.

    The two trees run on PostgreSQL, alternating.
    """
    with create_scratch_folder() as folder, run_postgres(folder) as server:
        earlier = folder / "earlier"
        earlier.mkdir()
        packed = subprocess.run(
            ["git", "archive", revision, "oms-api"], cwd=ROOT, stdout=subprocess.PIPE, check=True
        )
        subprocess.run(["tar", "-x", "-C", earlier], input=packed.stdout, check=True)
        codes = {"now": OMS_API, "then": earlier / "oms-api"}
        ratios = [_run_round(server, codes, folder, seconds, turn) for turn in range(rounds)]
    kept_share = median(ratios)
    label = f"POST /trade on PostgreSQL, of its rate at {revision}"
    return [ResultLine(label, f"{kept_share:.2f}", check_at_least(kept_share, KEPT_MUST, KEPT_REACH))]


def _run_round(server: Server, codes: dict[str, Path], folder: Path, seconds: float, turn: int) -> float:
    order = list(codes) if turn % 2 else list(reversed(codes))
    loads = {name: _measure_load(server, codes[name], folder, seconds) for name in order}
    ratio = loads["now"].rate / loads["then"].rate
    print(f"now {loads['now'].rate:,.0f}/s, then {loads['then'].rate:,.0f}/s: {ratio:.2f}", flush=True)
    return ratio


def _measure_load(server: Server, code: Path, folder: Path, seconds: float) -> LoadResult:
    key, url = generate_key(), server.create_database("trades")
    migrate(url, key, code)
    with run_api(url, folder / "api.log", key, code) as service:
        return service.load("trades", seconds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--against", metavar="REVISION")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    options = parser.parse_args()
    print_lines(
        measure()
        + (compare_revisions(options.against, options.rounds, options.seconds) if options.against else [])
    )
