"""The cost of idle services: the import time of the API, and the memory of both services."""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from time import sleep

from bench.disk import create_scratch_folder
from bench.report import ResultLine, check_at_most, print_lines
from bench.service import OMS_API, generate_key, migrate, run_api, run_bot

_IMPORT = "from time import perf_counter as now; begin = now(); import app.main; print(now() - begin)"
_IMPORT_AND_MAKE = _IMPORT.replace("import app.main", "from app.main import app")
IDLE_SECONDS = 3.0


def measure(rounds: int = 7) -> list[ResultLine]:
    """Return the lines of the table: the best of `rounds` imports, and memory shortly after the start."""
    with create_scratch_folder() as folder:
        database_url, key = f"sqlite:///{folder}/idle.db", generate_key()
        environment = os.environ | {"OMS_API_KEY": key, "DATABASE_URL": database_url}
        imported = min(_measure_seconds(_IMPORT, environment) for _ in range(rounds))
        seconds = min(_measure_seconds(_IMPORT_AND_MAKE, environment) for _ in range(rounds))
        migrate(database_url, key)
        with (
            run_api(database_url, folder / "api.log", key) as served,
            run_bot(served, folder / "bot.log") as listening,
        ):
            sleep(IDLE_SECONDS)
            memory = {"API": _read_megabytes(served.process_id), "bot": _read_megabytes(listening.process_id)}
    musts = {"API": 100.0, "bot": 60.0}
    return [
        ResultLine(
            f"import of the API ({seconds:.2f} s with the application made)",
            f"{imported:.2f} s",
            check_at_most(imported, 0.6, 0.6),
        ),
        *(
            ResultLine(
                f"idle memory of the {name}: RSS (PSS {pss:.0f} MB)",
                f"{rss:.0f} MB",
                check_at_most(rss, musts[name], musts[name]),
            )
            for name, (rss, pss) in memory.items()
        ),
    ]


def _measure_seconds(program: str, environment: dict[str, str]) -> float:
    command = [sys.executable, "-c", program]
    process = subprocess.run(
        command, cwd=OMS_API, env=environment, capture_output=True, text=True, check=True
    )
    return float(process.stdout.split()[-1])


def _read_megabytes(process_id: int) -> tuple[float, float]:
    """Return resident and proportional memory."""
    lines = Path(f"/proc/{process_id}/smaps_rollup").read_text().splitlines()
    kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines[1:]}
    return kilobytes["Rss"] / 1024, kilobytes["Pss"] / 1024


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    print_lines(measure(parser.parse_args().rounds))
