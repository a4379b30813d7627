"""`POST /trade` and `/trades:batch` with one API process and with several, compared with pgbench."""

import argparse

from bench.cases import CORES, MANY_PORTFOLIOS, Bounds, Case, measure
from bench.load import TRADES_PER_BATCH
from bench.report import ResultLine, print_lines

ROUNDS, SECONDS = 5, 5.0
_DEPLOYED = (Bounds(1.0, 0.55), Bounds(1.15, 0.7))
_BATCHES = (Bounds(1.5, 1.0), Bounds(2.0, 1.5))


def list_cases(workers: int = CORES) -> list[Case]:
    """Return the loads. "As deployed" has as many processes as cores, or `workers`."""
    label = f"POST /trade as deployed ({workers} processes)"
    p99 = (Bounds(30, 70), Bounds(20, 50))
    return [
        Case("POST /trade, one process", "trades", Bounds(0.8, 0.45), Bounds(0.95, 0.55), p99=p99),
        Case(label, "trades", *_DEPLOYED, workers),
        Case(f"{label}, {MANY_PORTFOLIOS} portfolios", "trades", *_DEPLOYED, workers, MANY_PORTFOLIOS),
        Case("trades of POST /trades:batch of 100", "batches", *_BATCHES, items=TRADES_PER_BATCH),
        Case(
            *("POST /trade on SQLite, one process", "trades", Bounds(0.85, 0.48), Bounds(0.95, 0.6)),
            is_sqlite=True,
        ),
        Case(
            f"trades of POST /trades:batch of 100 as deployed ({workers} processes)",
            *("batches", *_BATCHES, workers),
            items=TRADES_PER_BATCH,
        ),
    ]


def run(cases: list[Case], description: str | None) -> list[ResultLine]:
    """Measure with the options of the command line."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--cases", type=int, nargs="*", help="numbers of the cases to measure, from 0")
    args = parser.parse_args()
    chosen = cases if args.cases is None else [cases[number] for number in args.cases]
    return measure(chosen, args.rounds, args.seconds)


if __name__ == "__main__":
    print_lines(run(list_cases(), __doc__))
