"""`POST /trade` and `POST /orders` while background jobs mark positions, compared with none of these jobs.

The jobs update position records every five seconds, roll up bars, and take snapshots of equity. The load
itself opens up to 1,000 positions.
"""

import argparse
from pathlib import Path

from bench.disk import create_scratch_folder
from bench.load import PORTFOLIOS, list_portfolio_names
from bench.postgres import Server, run_postgres
from bench.report import ResultLine, check_at_least, median, print_lines
from bench.service import Environment, generate_key, migrate, run_api

ROUNDS, SECONDS = 3, 5.0
MUST, REACH = 0.9, 0.95
LOADS = {"trades": "POST /trade", "orders": "POST /orders"}
WITHOUT: Environment = {"DUTIES": "worker"}
WITH: Environment = {"DUTIES": "embedded"}


def measure(rounds: int = ROUNDS, seconds: float = SECONDS) -> list[ResultLine]:
    """Return the lines of the table: medians of the rounds, which measure both services in turn."""
    ratios: dict[str, list[float]] = {path: [] for path in LOADS}
    with create_scratch_folder() as folder, run_postgres(folder) as server:
        for turn in range(rounds):
            for path, path_ratios in ratios.items():
                settings = (WITHOUT, WITH) if turn % 2 else (WITH, WITHOUT)
                rates = {
                    setting["DUTIES"]: _measure_load(server, folder, path, seconds, setting)
                    for setting in settings
                }
                path_ratios.append(rates["embedded"] / rates["worker"])
                print(
                    f"  {LOADS[path]}: {rates['embedded']:,.0f}/s, {path_ratios[-1]:.2f} of without",
                    flush=True,
                )
    return [
        ResultLine(
            f"{label} while marks run, of without",
            f"{median(ratios[path]):.2f}",
            check_at_least(median(ratios[path]), MUST, REACH),
        )
        for path, label in LOADS.items()
    ]


def _measure_load(server: Server, folder: Path, path: str, seconds: float, settings: Environment) -> float:
    key, database_url = generate_key(), server.create_database("marks")
    migrate(database_url, key)
    with run_api(database_url, folder / "api.log", key, settings=settings) as service:
        if path == "orders":
            service.open_portfolios(list_portfolio_names(PORTFOLIOS))
        return service.load(path, seconds, server=server).rate


def main() -> None:
    """Measure with the options of the command line, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    args = parser.parse_args()
    print_lines(measure(args.rounds, args.seconds))


if __name__ == "__main__":
    main()
