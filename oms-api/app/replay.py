"""Play prices of a CSV file into a running service: `python -m app.replay FILE --speed 60x`.

The file has bars or ticks (`market_data.rules.price_files` documents both). Each becomes quotes with the time
of now, so orders fill against them as against any other. The whole file is checked before the first quote is
sent. The key is OMS_API_KEY; it needs the scope `admin`.

Exit status: 0 played, 1 the service is away or refused a quote, 2 the file or a setting is wrong.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import NamedTuple, TextIO
from urllib.parse import quote as quote_path
from urllib.parse import urlsplit

from app.clock import monotonic_seconds
from app.config import ConfigurationError, load_settings
from app.market_data.rules.bars import Interval
from app.market_data.rules.price_files import PriceFileError, list_bar_quotes, read_price_rows
from app.market_data.rules.values import Bar, Quote
from app.money import format_optional_fixed

PLAYED, FAILED, CANNOT = 0, 1, 2
TIMEOUT_SECONDS = 30.0
MAX_GAP = timedelta(hours=1)  # a longer gap between prices, such as a night, is skipped
MAX_ATTEMPTS = 10  # of a quote that a rate limit refuses
REFRESH_SECONDS = 0.2
WIDTH = 30  # of the progress bar, in characters
PublishQuote = Callable[[Quote], None]
Sleep = Callable[[float], None]


class PublishFailed(Exception):
    """Raised when the service is away or refused a quote."""


class FileSummary(NamedTuple):
    """The content of a checked file. `length` is the length of its bars."""

    rows: int
    length: timedelta


class Publisher:
    """Publishes quotes over one connection to a service."""

    def __init__(self, url: str, key: str, sleep: Sleep = time.sleep) -> None:
        parts = urlsplit(url)
        connect = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ConfigurationError("--url must be such as http://127.0.0.1:8001")
        self._connection = connect(parts.hostname, parts.port, timeout=TIMEOUT_SECONDS)
        self._path, self._sleep = parts.path.rstrip("/"), sleep
        self._headers = {"X-API-Key": key, "Content-Type": "application/json"}

    def __call__(self, quote: Quote) -> None:
        """Publish a quote, after a pause where a rate limit asks for one. Raises PublishFailed."""
        for _ in range(MAX_ATTEMPTS):
            try:
                response, text = self._put_quote(quote)
            except (OSError, HTTPException) as error:
                raise PublishFailed(f"The service cannot be reached: {error}.") from None
            if response.status != 429:  # too many requests
                break
            self._sleep(float(response.headers.get("Retry-After") or 1))
        if response.status >= 300:  # not a success
            raise PublishFailed(f"The service refused the quote of {quote.symbol}: {text}")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _put_quote(self, quote: Quote) -> tuple[HTTPResponse, str]:
        path = f"{self._path}/api/v1/quotes/{quote_path(quote.symbol, safe='')}"
        self._connection.request("PUT", path, json.dumps(format_quote(quote)), self._headers)
        response = self._connection.getresponse()
        return response, response.read().decode(errors="replace")


class ProgressBar:
    """The progress: one line that is drawn again on a terminal, and elsewhere a line for each tenth."""

    def __init__(self, stream: TextIO, rows: int, unit: str = "rows") -> None:
        self._stream, self._rows, self._unit = stream, rows, unit
        self._is_terminal = stream.isatty()
        self._started_at = self._drawn_at = monotonic_seconds()
        self._tenth = 0

    def draw(self, row: int, at: datetime | None = None) -> None:
        """Draw the progress after `row` rows, whose prices are of the time `at`, if there is one time."""
        now, tenth = monotonic_seconds(), row * 10 // self._rows
        is_due = now - self._drawn_at >= REFRESH_SECONDS if self._is_terminal else tenth > self._tenth
        if row < self._rows and not is_due:
            return
        self._drawn_at, self._tenth = now, tenth
        line = format_progress(row, self._rows, at, now - self._started_at, self._unit)
        self._stream.write(f"\r{line}" if self._is_terminal else f"{line}\n")
        self._stream.flush()

    def finish(self) -> None:
        """End the line."""
        if self._is_terminal:
            self._stream.write("\n")


def format_quote(quote: Quote) -> dict[str, str | None]:
    """Return the body of `PUT /quotes`."""
    names = ("bid", "ask", "last", "bid_size", "ask_size")
    return {name: format_optional_fixed(amount) for name, amount in zip(names, quote[1:6], strict=True)}


def format_progress(
    row: int, rows: int, at: datetime | None, seconds: float, unit: str = "rows"
) -> str:  # fmt: skip
    """Return the progress bar and its numbers."""
    filled = WIDTH * row // rows
    bar = "#" * filled + "." * (WIDTH - filled)
    rate = row / seconds if seconds > 0 else 0
    time = "" if at is None else f" {at:%Y-%m-%d %H:%M:%S}"
    return f"[{bar}] {100 * row // rows:3}% {row:,}/{rows:,}{time} {rate:,.0f} {unit}/s"


def parse_speed(text: str) -> float | None:
    """Return how many times faster than the market to play, None for as fast as the service allows."""
    if text == "max":
        return None
    try:
        speed = float(text.removesuffix("x"))
    except ValueError:
        speed = 0.0
    if not 0 < speed <= 1_000_000:  # a million times
        raise argparse.ArgumentTypeError("must be such as 1x, 60x or max")
    return speed


def check_file(path: Path) -> FileSummary:
    """Read the whole file. Raises PriceFileError if a row is invalid or none exists."""
    rows, gaps, start = 0, set[timedelta](), None
    with path.open(newline="", encoding="utf-8") as lines:
        for rows, (_, value) in enumerate(read_price_rows(lines), 1):  # noqa: B007  # the number is the result
            if isinstance(value, Bar):
                gaps.add(value.start - (start or value.start))
                start = value.start
    if not rows:
        raise PriceFileError(1, "the file has no prices")
    return FileSummary(rows, min(filter(None, gaps), default=Interval.MINUTE.length))


def publish_prices(
    path: Path, summary: FileSummary, speed: float | None, publish: PublishQuote, progress: ProgressBar,
    sleep: Sleep = time.sleep,
) -> None:  # fmt: skip
    """Publish the prices of a checked file at the speed. Raises PublishFailed."""
    last, due_seconds = None, monotonic_seconds()
    max_gap = max(MAX_GAP, summary.length)
    for row, quotes in _list_steps(path, summary.length):
        for quote in quotes:
            if speed is not None and last is not None:
                gap = quote.at - last
                due_seconds += gap.total_seconds() / speed if gap <= max_gap else 0
                sleep(max(due_seconds - monotonic_seconds(), 0))
            publish(quote)
            last = quote.at
        progress.draw(row, quotes[-1].at)


def _list_steps(path: Path, length: timedelta) -> Iterator[tuple[int, list[Quote]]]:
    """Yield rows whose quotes are played together, with the number of rows so far.

    A group is all bars of one start, whose quotes are mixed by time, or one tick.
    """
    row, start, waiting_quotes = 0, None, list[Quote]()
    with path.open(newline="", encoding="utf-8") as lines:
        for number, (_, value) in enumerate(read_price_rows(lines), 1):
            at = value.start if isinstance(value, Bar) else None
            if waiting_quotes and (at is None or at != start):
                yield row, sorted(waiting_quotes, key=lambda quote: quote.at)
                waiting_quotes = []
            waiting_quotes += list_bar_quotes(value, length) if isinstance(value, Bar) else [value]
            row, start = number, at
    if waiting_quotes:
        yield row, sorted(waiting_quotes, key=lambda quote: quote.at)


def main(arguments: Sequence[str] | None = None) -> int:
    """Play a file and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m app.replay", description="Play prices into a service.")
    parser.add_argument("file", type=Path, help="bars or ticks as CSV")
    parser.add_argument("--speed", type=parse_speed, default="60x", help="60x: an hour in a minute; or max")
    parser.add_argument("--url", help="the service's address; by default HOST and PORT")
    args, stream = parser.parse_args(arguments), sys.stderr
    try:
        settings = load_settings()
        summary = check_file(args.file)
        publisher = Publisher(args.url or f"http://{settings.host}:{settings.port}", settings.oms_api_key)
    except (PriceFileError, UnicodeDecodeError, OSError) as error:
        stream.write(f"{args.file}: {error}\n")
        return CANNOT
    except ConfigurationError as error:
        stream.write(f"{error}\n")
        return CANNOT
    progress, problem = ProgressBar(stream, summary.rows), None
    try:
        publish_prices(args.file, summary, args.speed, publisher, progress)
    except (PublishFailed, KeyboardInterrupt) as failure:
        problem = str(failure) or "Interrupted."
    publisher.close()
    progress.finish()
    if problem is not None:
        stream.write(f"{problem}\n")
    return PLAYED if problem is None else FAILED


if __name__ == "__main__":
    sys.exit(main())
