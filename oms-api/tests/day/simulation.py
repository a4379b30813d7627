"""A simulated day at high speed against real processes: seeded, bounded in time, and verified at the end."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from typing_extensions import override

from tests.day.clients import Actor, Client, Journal, Quoter, Switcher, Trader
from tests.day.invariant_checks import find_faults, list_open_orders
from tests.day.random_requests import (
    FOREIGN,
    PORTFOLIOS,
    SYMBOLS,
    build_jumped_quote,
    create_opening_prices,
    get_terms,
)
from tests.faults.process_control import HERE, OmsProcess
from tests.support.processes import build_environment

TRADERS, QUOTERS = 12, 1
_TWO_AT_ONCE = (0.35, 0.75)  # the part of the day with two processes
_POLL_SECONDS = 0.01
_LEAVE_SECONDS = 90.0


@dataclass(frozen=True)
class Day:
    """The result of a day: its faults and figures."""

    faults: list[str]
    tickets: int
    seconds: float
    journal: Journal

    @property
    def rate(self) -> float:
        """Tickets a second, deaths and restarts included."""
        return self.tickets / self.seconds

    @override
    def __str__(self) -> str:
        journal = self.journal
        return (
            f"{self.tickets} tickets in {self.seconds:.0f} s, {self.rate:,.0f}/s: {dict(journal.stands)}\n"
            f"{len(journal.intents)} requests, {journal.broken} broken connections, "
            f"{len(journal.halts)} halts, slowest answer {journal.slowest:.1f} s"
        )


class Exchange:
    """The processes that serve, as they come and go."""

    def __init__(self, database_url: str, logs: Path) -> None:
        # Switches, prices and orders are the test's own; a day of one key is above any rate limit.
        self._make = lambda: OmsProcess(database_url, logs, PRICE_SOURCE="manual", LOG_LEVEL="ERROR")
        self._running: list[OmsProcess] = []

    def ports(self) -> Sequence[int]:
        """Return where processes should be listening."""
        return [oms.port for oms in self._running]

    def open(self) -> None:
        """Start one more."""
        oms = self._make()
        oms.start()
        self._running.append(oms)

    def leave(self) -> None:
        """Let the youngest one stop in good order."""
        self._running.pop().stop()

    def kill(self, random: Random) -> None:
        """Kill one of them amid its work, and start it again."""
        victim = random.choice(self._running)
        victim.kill()
        time.sleep(random.uniform(0, 0.3))
        victim.start()

    def close(self) -> None:
        """Kill the services that still run."""
        for oms in self._running:
            oms.remove()


def simulate(database_url: str, logs: Path, tickets: int, seed: int, kills: int, seconds: float) -> Day:
    """Play a day of so many tickets on an empty, migrated database; after `seconds` it is over anyway."""
    print(f"the day: seed {seed}", flush=True)
    random, exchange, journal = Random(f"day-{seed}"), Exchange(database_url, logs), Journal()
    try:
        exchange.open()
        client = Client(journal, exchange.ports, Random(f"checks-{seed}"))
        prices = create_opening_prices()
        for symbol, price in prices.items():
            client.quote(symbol, build_jumped_quote(price, 0))
        for symbol, currency in FOREIGN.items():
            client.send("listing", "PUT", f"/api/v1/instruments/{symbol}", get_terms(currency))
        for name in PORTFOLIOS:
            client.send("portfolio", "POST", "/api/v1/portfolios", {"name": name})
        started = time.monotonic()
        with _acting(journal, exchange, prices, tickets, seed):
            _inject_fault(exchange, journal, random, tickets, kills, started + seconds)
        took = time.monotonic() - started
        _check_invariants(client, prices)
        faults = [f"open after the sweep: {order}" for order in list_open_orders(client)] + find_faults(
            client, journal
        )
        client.close()
    finally:
        exchange.close()
    return Day(faults + _verify_books(database_url), journal.tickets, took, journal)


@contextmanager
def _acting(
    journal: Journal, exchange: Exchange, prices: dict[str, int], tickets: int, seed: int
) -> Iterator[None]:
    traded, over = threading.Event(), threading.Event()

    def client(name: str) -> Client:
        return Client(journal, exchange.ports, Random(f"{name}-{seed}"))

    traders: list[Actor] = [
        Trader(client(f"t{number}"), traded, f"s{seed}-t{number}", prices, tickets)
        for number in range(TRADERS)
    ]
    other_actors: list[Actor] = [Quoter(client(f"q{n}"), over, f"q{n}", prices) for n in range(QUOTERS)]
    other_actors.append(Switcher(client("k"), over, f"k{seed}"))
    for actor in (*traders, *other_actors):
        actor.start()
    try:
        yield
    finally:
        for event, actors in ((traded, traders), (over, other_actors)):
            event.set()
            deadline = time.monotonic() + _LEAVE_SECONDS
            for actor in actors:
                actor.join(max(0.0, deadline - time.monotonic()))
    for actor in (*traders, *other_actors):
        assert not actor.is_alive(), f"{actor.name} waits for an answer"
        if actor.failure is not None:
            raise actor.failure


def _inject_fault(
    exchange: Exchange, journal: Journal, random: Random, tickets: int, kills: int, deadline: float
) -> None:
    """Kill processes at random moments; for a part of the day there are two."""
    steps = [(random.uniform(0.05, 0.95), lambda: exchange.kill(random)) for _ in range(kills)]
    steps += [(_TWO_AT_ONCE[0], exchange.open), (_TWO_AT_ONCE[1], exchange.leave), (1.0, lambda: None)]
    for part, act in sorted(steps, key=lambda step: step[0]):
        while journal.tickets < part * tickets:
            assert time.monotonic() < deadline, f"only {journal.tickets} of {tickets} tickets in time"
            time.sleep(_POLL_SECONDS)
        act()


def _check_invariants(client: Client, prices: dict[str, int]) -> None:
    """Let prices jump to both sides, then cancel the unmatched orders."""
    for percent in (-4, 4):
        for symbol in SYMBOLS:
            client.quote(symbol, build_jumped_quote(prices[symbol], percent))
    client.send("sweep", "POST", "/api/v1/orders:cancel-all", {"reason": "The day is over"})


def _verify_books(database_url: str) -> list[str]:
    """Prove the books as an operator does."""
    completed = subprocess.run(
        [sys.executable, "-m", "app.verify"], cwd=HERE, capture_output=True, text=True, check=False,
        env=build_environment(DATABASE_URL=database_url), timeout=600,
    )  # fmt: skip
    return (
        []
        if completed.returncode == 0
        else [f"app.verify: {completed.returncode} {completed.stdout}{completed.stderr}"]
    )
