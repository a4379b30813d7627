"""Ledgers of a given length, filled by the service's own code and vacuumed as autovacuum would."""

import os
import subprocess
import sys
from dataclasses import dataclass
from time import perf_counter

from bench.postgres import Server
from bench.service import OMS_API, ROOT, build_api_environment, generate_key, migrate


@dataclass(frozen=True, slots=True)
class Ledger:
    """A filled database, and the API key that it accepts."""

    database_url: str
    key: str
    trades: int

    def environment(self) -> dict[str, str]:
        """Return the environment of the service's commands."""
        return build_api_environment(self.database_url, self.key)


def fill_database(server: Server, name: str, trades: int) -> Ledger:
    """Return a database of that name with `trades` trades, which takes about 3 minutes per million."""
    started = perf_counter()
    ledger = Ledger(server.create_database(name), generate_key(), trades)
    migrate(ledger.database_url, ledger.key)
    path = os.pathsep.join((str(ROOT), str(OMS_API)))
    command = [sys.executable, "-m", "bench.fill", str(trades)]
    subprocess.run(command, cwd=OMS_API, env=ledger.environment() | {"PYTHONPATH": path}, check=True)
    server.sql("VACUUM (ANALYZE)", name)
    print(f"a ledger of {trades:,} trades made in {perf_counter() - started:.0f} s", flush=True)
    return ledger
