"""`python -m app.replay` plays a file of prices into a service, at a speed, and shows its progress."""

import io
import json
import threading
from argparse import ArgumentTypeError
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from typing_extensions import override

from app import replay
from app.config import ConfigurationError
from app.market_data.rules.values import Quote
from app.replay import (
    ProgressBar,
    Publisher,
    PublishFailed,
    check_file,
    format_progress,
    parse_speed,
    publish_prices,
)
from tests.factories import BOOTSTRAP_KEY

pytestmark = pytest.mark.any_database

HEADER = "symbol,start,open,high,low,close,volume"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Terminal(io.StringIO):
    """Standard error on a terminal."""

    @override
    def isatty(self):
        return True


@pytest.fixture
def price_file(tmp_path):
    """`price_file(*lines)` writes a file and returns its path."""

    def make(*lines):
        path = tmp_path / "prices.csv"
        path.write_text("".join(f"{line}\n" for line in lines))
        return path

    return make


@pytest.fixture
def bars(price_file):
    return price_file(
        HEADER,
        "AAPL,2026-11-20T12:00:00Z,100,103,98,101,5000",
        "MSFT,2026-11-20T12:00:00Z,50,50,50,50,",
        "AAPL,2026-11-20T12:01:00Z,101,102,90,95,",
        "AAPL,2026-11-21T12:00:00Z,95,95,95,95,",
    )


class Stub(HTTPServer):
    """A server that responds with `answers` in turn, then 200, and records its requests."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), StubHandler)
        self.received: list[tuple[str, str, dict[str, str]]] = []
        self.answers: list[int] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class StubHandler(BaseHTTPRequestHandler):
    """Handles one connection to the stub."""

    protocol_version = "HTTP/1.1"
    server: Stub

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((self.path, self.headers["X-API-Key"], json.loads(body)))
        self.send_response(self.server.answers.pop(0) if self.server.answers else 200)
        self.send_header("Retry-After", "3")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    @override
    def log_message(self, *_):
        pass


@pytest.fixture
def stub_service():
    stub = Stub()
    thread = threading.Thread(target=stub.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield stub
    stub.shutdown()
    thread.join()
    stub.server_close()


def play_file(path, speed, monkeypatch=None):
    """Play a file, and return its quotes with the seconds at which each was published."""
    slept, published = [0.0], []
    if monkeypatch:
        monkeypatch.setattr(replay, "monotonic_seconds", lambda: slept[0])

    def sleep(seconds):
        slept[0] += seconds

    progress = ProgressBar(io.StringIO(), 1_000)
    publish_prices(
        path, check_file(path), speed, lambda quote: published.append((slept[0], quote)), progress, sleep
    )
    return published


def test_bars_of_a_minute_are_mixed_by_time(bars):
    quotes = [(quote.symbol, str(quote.last)) for _, quote in play_file(bars, None)]
    assert quotes[:8] == [
        *(("AAPL", "100"), ("MSFT", "50"), ("AAPL", "98"), ("MSFT", "50")),
        *(("AAPL", "103"), ("MSFT", "50"), ("AAPL", "101"), ("MSFT", "50")),
    ]
    assert quotes[8:] == [("AAPL", price) for price in ("101", "102", "90", "95", "95", "95", "95", "95")]


def test_speed_divides_the_gaps_and_a_night_is_skipped(bars, monkeypatch):
    seconds = [round(at, 2) for at, _ in play_file(bars, 60.0, monkeypatch=monkeypatch)]
    assert seconds == [
        *(0, 0, 0.33, 0.33, 0.67, 0.67, 1, 1),
        *(1, 1.33, 1.67, 2),
        *(2, 2.33, 2.67, 3),
    ]


def test_ticks_are_played_one_by_one(price_file, monkeypatch):
    path = price_file("symbol,at,bid,ask,last", "X,2026-11-20T12:00:00Z,1,2,", "X,2026-11-20T12:00:30Z,,,3")
    assert [(at, quote.bid, quote.last) for at, quote in play_file(path, 1.0, monkeypatch=monkeypatch)] == [
        (0, 1, None),
        (30, None, 3),
    ]


@pytest.mark.parametrize(
    ("starts", "length"),
    [
        (["12:00"], timedelta(minutes=1)),
        (["12:00", "12:15", "12:20"], timedelta(minutes=5)),
    ],
)
def test_length_of_bars_is_the_smallest_gap(price_file, starts, length):
    path = price_file(HEADER, *(f"X,2026-11-20T{start}:00Z,1,1,1,1," for start in starts))
    assert check_file(path) == (len(starts), length)


@pytest.mark.parametrize(("text", "speed"), [("60x", 60), ("0.5", 0.5), ("max", None)])
def test_speed_is_parsed(text, speed):
    assert parse_speed(text) == speed


@pytest.mark.parametrize("text", ["0x", "-1x", "fast", "nan", "1e9"])
def test_bad_speed_is_rejected(text):
    with pytest.raises(ArgumentTypeError, match="60x"):
        parse_speed(text)


def test_progress_is_drawn_over_on_a_terminal_and_in_tenths_elsewhere(monkeypatch):
    monkeypatch.setattr(replay, "monotonic_seconds", iter([0.0] + [0.1 * n for n in range(1, 200)]).__next__)
    terminal, file = Terminal(), io.StringIO()
    for stream in (terminal, file):
        progress = ProgressBar(stream, 20)
        for row in range(1, 21):
            progress.draw(row, NOON)
        progress.finish()
    assert file.getvalue().count("\n") == 10
    lines = terminal.getvalue().split("\r")
    assert lines[0] == ""
    assert 5 < len(lines) < 20
    assert lines[-1].startswith(f"[{'#' * 30}] 100% 20/20 2026-11-20 12:00:00")
    assert format_progress(0, 20, NOON, 0.0).startswith(f"[{'.' * 30}]   0% 0/20")


def test_publisher_waits_for_the_rate_limit(stub_service):
    stub_service.answers += [429, 429]
    waits: list[float] = []
    publish = Publisher(f"{stub_service.url}/desk", "k" * 32, waits.append)
    publish(build_quote("BTC/USD"))
    publish.close()
    assert waits == [3, 3]
    assert [received[:2] for received in stub_service.received] == [
        ("/desk/api/v1/quotes/BTC%2FUSD", "k" * 32)
    ] * 3
    assert stub_service.received[0][2]["last"] == "7.00000000"


def build_quote(symbol):
    return Quote(symbol, None, None, Decimal(7), None, None, NOON, "file")


def test_refusal_and_absence_of_the_service_are_reported(stub_service):
    stub_service.answers += [403]
    for url, problem in (
        (stub_service.url, "refused the quote of X"),
        ("http://127.0.0.1:9", "cannot be reached"),
    ):
        publish = Publisher(url, "k" * 32)
        with pytest.raises(PublishFailed, match=problem):
            publish(build_quote("X"))
        publish.close()
    with pytest.raises(ConfigurationError, match="--url"):
        Publisher("ftp://host", "k" * 32)


@pytest.fixture
def environment(monkeypatch):
    monkeypatch.setenv("OMS_API_KEY", BOOTSTRAP_KEY)


@pytest.mark.usefixtures("environment")
def test_command_plays_a_file(stub_service, bars, capsys):
    assert replay.main([str(bars), "--speed", "max", "--url", stub_service.url]) == replay.PLAYED
    assert len(stub_service.received) == 16
    assert "100% 4/4" in capsys.readouterr().err
    stub_service.answers += [403]
    assert replay.main([str(bars), "--speed", "max", "--url", stub_service.url]) == replay.FAILED
    assert "refused" in capsys.readouterr().err


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ((HEADER,), "no prices"),
        (
            (HEADER, "AAPL,2026-11-20T12:00:00Z,1,1,1,1,", "AAPL,2026-11-20T12:01:00Z,0,1,1,1,"),
            "line 3: `open`",
        ),
    ],
)
def test_bad_file_ends_with_status_2_before_anything_is_played(
    stub_service, price_file, capsys, lines, problem
):
    assert replay.main([str(price_file(*lines)), "--url", stub_service.url]) == replay.CANNOT
    assert problem in capsys.readouterr().err
    assert stub_service.received == []


@pytest.mark.usefixtures("environment")
def test_missing_file_and_bad_address_end_with_status_2(bars, tmp_path, capsys):
    assert replay.main([str(tmp_path / "none.csv")]) == replay.CANNOT
    assert replay.main([str(bars), "--url", "host:80"]) == replay.CANNOT
    assert "--url must be" in capsys.readouterr().err


def test_replayed_bars_are_bars_of_the_service(api, bars):
    quotes = [quote for _, quote in play_file(bars, None)]
    for quote in quotes:
        assert api.put(f"/quotes/{quote.symbol}", replay.format_quote(quote)).status_code == 200
    body = api.get("/bars/AAPL", interval="1d").json()
    if len(body) == 1:  # unless midnight passed meanwhile
        assert [body[0][name] for name in ("open", "high", "low", "close")] == [
            *("100.00", "103.00", "90.00", "95.00")
        ]
