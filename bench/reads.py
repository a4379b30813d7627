"""Compare a large ledger with a small one, and a deep page of a list with the first one."""

import argparse
import json
import re
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.disk import create_scratch_folder
from bench.ledger import Ledger, fill_database
from bench.load import EACH_PORTFOLIO
from bench.postgres import run_postgres
from bench.report import ResultLine, check_at_least, check_at_most, median, print_lines
from bench.service import LoadResult, Service, run_api

LARGE, SMALL = 1_000_000, 1_000
DEPTH_PART = 0.9
PAGE, MAX_PAGE = 100, 1000
BOOK = "/api/v1/portfolio/Book%2007"
EVERY_PORTFOLIO = f"/api/v1/portfolio/Book%20{EACH_PORTFOLIO}"
_NEXT = re.compile(r'<(.+)>; rel="next"')


def measure(large: Ledger, small: Ledger, folder: Path, rounds: int, seconds: float) -> list[ResultLine]:
    """Return the lines of the table. Each is a median; rounds alternate between the compared cases."""
    with (
        run_api(large.database_url, folder / "large.log", large.key) as old,
        run_api(small.database_url, folder / "small.log", small.key) as young,
    ):
        _check_sizes(old, young)
        book = _compare_times(
            lambda: _load_alone(old, BOOK, seconds), lambda: _load_alone(young, BOOK, seconds), rounds
        )
        first = f"/api/v1/trades?limit={PAGE}"
        deep = _find_page(old, int(large.trades * DEPTH_PART))
        page = _compare_times(
            lambda: _load_alone(old, deep, seconds), lambda: _load_alone(old, first, seconds), rounds
        )
        one_book = [old.load(BOOK, seconds) for _ in range(rounds)]
        every_book = [old.load(EVERY_PORTFOLIO, seconds) for _ in range(rounds)]
    rate, best = (median([load.rate for load in loads]) for loads in (every_book, one_book))
    return [
        ResultLine(f"GET /portfolio of 50 positions, {large.trades:,} trades against {small.trades:,}",
             f"{book:.2f} ×", check_at_most(book, 1.2, 1.05)),
        ResultLine(f"a page of {PAGE} at depth {int(large.trades * DEPTH_PART):,} against the first page",
             f"{page:.2f} ×", check_at_most(page, 1.5, 1.1)),
        ResultLine("GET /portfolio of 50 positions, one process, 20 books in turn "
             f"(p99 {median([figures.p99 for figures in every_book]):.1f} ms; all at one book {best:,.0f}/s)",
             f"{rate:,.0f}/s", check_at_least(rate, 2000, 4500)),
    ]  # fmt: skip


def _load_alone(service: Service, path: str, seconds: float) -> LoadResult:
    return service.load(path, seconds, connections=1, warm=0.5)


def _compare_times(
    run_large: Callable[[], LoadResult], run_small: Callable[[], LoadResult], rounds: int
) -> float:
    """Return how much longer `run_large` takes than `run_small`, by their medians on one connection."""
    return median([run_large().p50 / run_small().p50 for _ in range(rounds)])


def _check_sizes(old: Service, young: Service) -> None:
    sizes = [len(json.loads(_get_page(client, BOOK)[0])["positions"]) for client in (old, young)]
    if sizes != [50, 50]:
        raise ValueError(f"the books compared hold {sizes} positions, not 50 each")


def _find_page(service: Service, depth: int) -> str:
    """Follow the list's links to `depth` and return the address of that page."""
    address = f"/api/v1/trades?limit={MAX_PAGE}"
    for _ in range(depth // MAX_PAGE):
        link = _NEXT.fullmatch(_get_page(service, address)[1])
        if not link:
            raise ValueError(f"the list ends before {depth:,}")
        address = link[1]
    return address.replace(f"limit={MAX_PAGE}", f"limit={PAGE}")


def _get_page(service: Service, address: str) -> tuple[bytes, str]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{service.port}{address}", headers={"X-API-Key": service.key}
    )  # a URL of this benchmark
    with urllib.request.urlopen(request, timeout=20) as response:  # noqa: S310  # as above
        return response.read(), response.headers.get("Link", "")


def main(arguments: Sequence[str] | None = None) -> None:
    """Create both ledgers, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trades", type=int, default=LARGE)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    args = parser.parse_args(arguments)
    with create_scratch_folder() as folder, run_postgres(folder) as server:
        large, small = fill_database(server, "large", args.trades), fill_database(server, "small", SMALL)
        print_lines(measure(large, small, folder, args.rounds, args.seconds))


if __name__ == "__main__":
    main()
