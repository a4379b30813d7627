"""A stand-in beside the desk: its prices move as the desk simulates them, and its account is kept."""

import argparse
import pickle
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from app.market_data.sources.simulated import SimulatedSource

STEP_SECONDS = 1.0


class Market(Protocol):
    """The quotes of a stand-in by symbol. Each has `bid` and `ask`."""

    quotes: dict[str, Any]

    def quote(self, symbol: str, bid: str, ask: str) -> None:
        """Set a quote, and fill the orders that it reaches."""


class PriceWalk:
    """Quotes symbols at the desk's simulated prices. A quote that was set by hand stays."""

    def __init__(self, market: Market, seed: str, symbols: Iterable[str]) -> None:
        self._market, self._symbols = market, tuple(symbols)
        self._source = SimulatedSource(seed)
        self._set: dict[str, tuple[Any, Any]] = {}

    def step(self, at: datetime) -> None:
        """Quote the prices of the instant `at`."""
        for symbol in self._symbols:
            quote, current = self._source.get_quote(symbol, at), self._market.quotes.get(symbol)
            is_own = current is None or self._set.get(symbol) == (current.bid, current.ask)
            if quote is not None and is_own and self._set.get(symbol) != (quote.bid, quote.ask):
                self._market.quote(symbol, str(quote.bid), str(quote.ask))
                self._set[symbol] = (quote.bid, quote.ask)


class AccountFile:
    """Keeps attributes of a stand-in in a file that nothing else writes."""

    def __init__(self, path: Path, owner: object, names: Iterable[str]) -> None:
        self._path, self._owner, self._names = path, owner, tuple(names)
        self._written = b""

    def load(self) -> None:
        """Restore the attributes, if there is a file."""
        if self._path.exists():
            stored: Mapping[str, Any] = pickle.loads(self._path.read_bytes())  # noqa: S301  # its own file
            for name in self._names:
                setattr(self._owner, name, stored[name])

    def save(self) -> None:
        """Write the attributes if they changed. A crash leaves the previous file."""
        content = pickle.dumps({name: getattr(self._owner, name) for name in self._names})
        if content != self._written:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            draft = self._path.with_suffix(".new")
            draft.write_bytes(content)
            draft.replace(self._path)
            self._written = content


def add_demo_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of a stand-in that runs beside the desk."""
    parser.add_argument("--seed", help="Move the prices as the desk's simulated ones: its SIMULATION_SEED.")
    parser.add_argument("--account-file", type=Path, help="Keep orders, positions and cash in this file.")


def repeat(steps: Iterable[Callable[[], None]], call: Callable[[Callable[[], None]], object]) -> None:
    """Run the steps every second in a thread, each by `call`, until the program ends."""
    stop, listed = threading.Event(), tuple(steps)

    def run() -> None:
        while not stop.wait(STEP_SECONDS):
            for step in listed:
                call(step)

    threading.Thread(target=run, name="demo", daemon=True).start()


def start_demo(
    options: argparse.Namespace,
    market: Market,
    symbols: Iterable[str],
    names: Iterable[str],
    call: Callable[[Callable[[], None]], object],
    call_at_changes: Callable[[Callable[[], None]], object] = lambda _: None,
) -> bool:
    """Restore the account and move the prices as the arguments say. Return whether the prices move.

    The account is written every second, and by what `call_at_changes` calls before it reports a change.
    """
    steps: list[Callable[[], None]] = []
    if options.account_file is not None:
        account = AccountFile(options.account_file, market, names)
        account.load()
        steps.append(account.save)
        call_at_changes(account.save)
    if options.seed is not None:
        walk = PriceWalk(market, options.seed, symbols)
        walk.step(datetime.now(UTC))
        steps.insert(0, lambda: walk.step(datetime.now(UTC)))
    if steps:
        repeat(steps, call)
    return options.seed is not None
