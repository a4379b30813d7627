"""`POST /orders` at market, filled at the simulated quote, on PostgreSQL, compared with pgbench.

The service and pgbench are measured in the same run. pgbench writes one trade per transaction. An order
writes its row, its events, the execution, the trade, the position, the portfolio and the outbox.
"""

from bench.cases import CORES, MANY_PORTFOLIOS, Bounds, Case
from bench.report import print_lines
from bench.trades import run

_DEPLOYED = (Bounds(0.5, 0.32), Bounds(0.65, 0.42))


def list_cases(workers: int = CORES) -> list[Case]:
    """Return the loads. "As deployed" has as many processes as cores, or `workers`."""
    label = f"POST /orders MARKET as deployed ({workers} processes)"
    return [
        Case("POST /orders MARKET, one process", "orders", Bounds(0.32, 0.22), Bounds(0.4, 0.28)),
        Case(label, "orders", *_DEPLOYED, workers),
        Case(f"{label}, {MANY_PORTFOLIOS} portfolios", "orders", *_DEPLOYED, workers, MANY_PORTFOLIOS),
    ]


if __name__ == "__main__":
    print_lines(run(list_cases(), __doc__))
