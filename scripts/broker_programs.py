"""The stand-ins of brokers that `make run-with-brokers` starts beside the desk, and a portfolio for each."""

import json
import secrets
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from supervisor import Program

LOOPBACK = "127.0.0.1"
KEY_ID = "PKSTANDIN"
KITE_KEY = "kitestandin"
SIMULATED_CHANNEL = "C0TRADING01"  # of the Slack simulator
ZERODHA_CONNECTION = "zerodha-standin"
ACCOUNTS_FOLDER = ".standins"  # beside the database: the stand-ins keep their accounts there
DEFAULT_SEED = "slackoms"
TIMEOUT_SECONDS = 10.0
CONNECTION_SECONDS, POLL_SECONDS = 30.0, 0.2


class DemoPortfolio(NamedTuple):
    """A portfolio that trades at a stand-in, and the instrument to try there."""

    name: str
    currency: str
    broker: str
    connection: str
    symbol: str
    instrument: Mapping[str, str]


DEMO_PORTFOLIOS = {
    "alpaca": DemoPortfolio(
        name="America",
        currency="USD",
        broker="alpaca",
        connection="env-alpaca",
        symbol="AAPL",
        instrument={"exchange": "NASDAQ", "currency": "USD", "tick_size": "0.01", "lot_size": "1"},
    ),
    "kite": DemoPortfolio(
        name="India",
        currency="INR",
        broker="zerodha",
        connection=ZERODHA_CONNECTION,
        symbol="RELIANCE",
        instrument={"exchange": "NSE", "currency": "INR", "tick_size": "0.05", "lot_size": "1"},
    ),
    "tws": DemoPortfolio(
        name="Currencies",
        currency="USD",
        broker="ibkr",
        connection="env-ibkr",
        symbol="EURUSD",
        instrument={
            "exchange": "",
            "asset_class": "fx",
            "currency": "USD",
            "tick_size": "0.00005",
            "lot_size": "1",
        },
    ),
}  # by the program of the stand-in


class Service(NamedTuple):
    """The OMS: its address, and a key of its administrator."""

    url: str
    key: str


def add_brokers(
    programs: list[Program], folder: Path, port: int, kite_port: int = 3021, seed: str = DEFAULT_SEED
) -> None:
    """Add the stand-ins of Alpaca and Zerodha. The OMS is the first program.

    The OMS then has the connection `env-alpaca`. Its secret is new in each start and not written to disk, as
    the one of Zerodha, to which `connect_kite` connects the OMS once it runs. `seed` is that of the desk's
    simulated prices, which the stand-ins follow.
    """
    access = {"ALPACA_API_KEY": KEY_ID, "ALPACA_API_SECRET": secrets.token_hex(20)}
    kite = {"KITE_API_KEY": KITE_KEY, "KITE_API_SECRET": secrets.token_hex(20)}
    oms = programs[0]
    oms.environment = {**oms.environment, **access, "ALPACA_BASE_URL": f"http://{LOOPBACK}:{port}"}
    for name, number, own in (("alpaca", port, access), ("kite", kite_port, kite)):
        command = _build_command(name, number, seed)
        programs.append(Program(name, command, folder, _select_variables(oms.environment, own), number))


def add_ibkr(
    programs: list[Program], folder: Path, port: int, *, is_installed: bool, seed: str = DEFAULT_SEED
) -> None:
    """Add the stand-in of TWS, and the process that trades there on the database of the OMS.

    The OMS then has the connection `env-ibkr`. Nothing is added without the extra `ibkr`.
    """
    if not is_installed:
        return
    tws = _build_command("ibkr", port, seed)
    programs.append(
        Program("tws", tws, folder, _select_variables(programs[0].environment, {}), port, has_health=False)
    )
    access = {"IB_HOST": LOOPBACK, "IB_PORT": str(port)}
    trader = [sys.executable, "-m", "app.brokers.ibkr"]
    environment = {**programs[0].environment, **access}
    programs.append(Program("ibkr", trader, folder, environment, 0, has_health=False))


def show_reports(programs: list[Program], bot: Mapping[str, str]) -> None:
    """Let the bot post its broker reports in a channel of the simulator, unless a channel is set.

    `bot` holds the values of its `.env`.
    """
    by_name = {program.name: program for program in programs}
    slack_bot = by_name["slack-bot"]
    is_set = bot.get("TRADING_CHANNEL") or slack_bot.environment.get("TRADING_CHANNEL")
    if "simulator" in by_name and not is_set:
        slack_bot.environment = {**slack_bot.environment, "TRADING_CHANNEL": SIMULATED_CHANNEL}


def connect_kite(oms: Service, kite: Program) -> None:
    """Connect the OMS to the stand-in of Zerodha, and log in there.

    A connection that exists already is kept. Raises OSError if a program does not answer.
    """
    kite_url = f"http://{LOOPBACK}:{kite.port}"
    names = {"api_key": "KITE_API_KEY", "api_secret": "KITE_API_SECRET"}
    credentials = {name: kite.environment[variable] for name, variable in names.items()}
    connection = {
        "name": ZERODHA_CONNECTION, "broker": "zerodha", "base_url": kite_url, "credentials": credentials,
    }  # fmt: skip
    if _call_oms(oms, "POST", "/broker-connections", connection) is None:
        changes = {"base_url": kite_url, "credentials": credentials}
        _call_oms(oms, "PATCH", f"/broker-connections/{ZERODHA_CONNECTION}", changes)
    token = _send_request("POST", f"{kite_url}/control/log_in", "", {})
    _call_oms(
        oms, "POST", f"/brokers/{ZERODHA_CONNECTION}/session", {"request_token": (token or {})["result"]}
    )


def create_portfolio(oms: Service, demo: DemoPortfolio) -> None:
    """Create a portfolio that trades over a connection, once that exists. Keep an existing portfolio.

    Raises OSError if the OMS does not answer, and TimeoutError if the connection never appears.
    """
    deadline = time.monotonic() + CONNECTION_SECONDS
    while _call_oms(oms, "GET", f"/broker-connections/{demo.connection}") is None:
        if time.monotonic() > deadline:
            raise TimeoutError(demo.connection)
        time.sleep(POLL_SECONDS)
    _call_oms(oms, "PUT", f"/instruments/{demo.symbol}", demo.instrument)
    _call_oms(oms, "POST", "/portfolios", {"name": demo.name, "base_currency": demo.currency})
    assignment = {"broker": demo.broker, "connection": demo.connection}
    _call_oms(oms, "PATCH", f"/portfolios/{demo.name}", assignment)


def _call_oms(
    oms: Service, method: str, path: str, body: Mapping[str, Any] | None = None
) -> dict[str, Any] | None:
    """Return the answer of the OMS, None if it refused the request."""
    return _send_request(method, f"{oms.url}/api/v1{path}", oms.key, body)


def _send_request(method: str, url: str, key: str, body: Mapping[str, Any] | None) -> dict[str, Any] | None:
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, content, method=method)  # noqa: S310  # loopback
    request.add_header("Content-Type", "application/json")
    if key:
        request.add_header("X-API-Key", key)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310
            document: dict[str, Any] = json.load(response)
            return document
    except urllib.error.HTTPError:
        return None


def _build_command(name: str, port: int, seed: str) -> list[str]:
    """Return the command of a stand-in whose prices move, and which keeps its account."""
    module, account = f"tests.brokers.standins.{name}", f"{ACCOUNTS_FOLDER}/{name}.pickle"
    command = [sys.executable, "-m", module, "--port", str(port), "--account-file", account]
    return [*command, f"--seed={seed}"]


def _select_variables(environment: Mapping[str, str], access: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that the stand-in needs, without the keys of the services."""
    inherited = {name: environment[name] for name in ("PATH", "HOME", "LANG") if name in environment}
    return {**inherited, **access, "PYTHONUNBUFFERED": "1"}
