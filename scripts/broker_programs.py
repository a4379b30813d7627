"""The stand-ins of brokers that `make run-with-brokers` starts beside the desk."""

import json
import secrets
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from supervisor import Program

LOOPBACK = "127.0.0.1"
KEY_ID = "PKSTANDIN"
KITE_KEY = "kitestandin"
PORTFOLIO, CONNECTION = "India", "zerodha-standin"
TIMEOUT_SECONDS = 10.0


def add_brokers(programs: list[Program], folder: Path, port: int, kite_port: int = 3021) -> None:
    """Add the stand-ins of Alpaca and Zerodha. The OMS is the first program.

    The OMS then has the connection `env-alpaca`. Its secret is new in each start and not written to disk, as
    the one of Zerodha, to which `connect_kite` connects the OMS once it runs.
    """
    access = {"ALPACA_API_KEY": KEY_ID, "ALPACA_API_SECRET": secrets.token_hex(20)}
    kite = {"KITE_API_KEY": KITE_KEY, "KITE_API_SECRET": secrets.token_hex(20)}
    oms = programs[0]
    oms.environment = {**oms.environment, **access, "ALPACA_BASE_URL": f"http://{LOOPBACK}:{port}"}
    for name, number, own in (("alpaca", port, access), ("kite", kite_port, kite)):
        command = [sys.executable, "-m", f"tests.brokers.standins.{name}", "--port", str(number)]
        programs.append(Program(name, command, folder, _select(oms.environment, own), number))


def connect_kite(oms_url: str, oms_key: str, kite: Program) -> None:
    """Connect the portfolio `India` of the OMS to the stand-in of Zerodha, and log in there.

    What exists already is kept. Raise OSError if a program does not answer.
    """
    base, kite_url = f"{oms_url}/api/v1", f"http://{LOOPBACK}:{kite.port}"
    names = {"api_key": "KITE_API_KEY", "api_secret": "KITE_API_SECRET"}
    credentials = {name: kite.environment[variable] for name, variable in names.items()}
    connection = {
        "name": CONNECTION, "broker": "zerodha", "base_url": kite_url, "credentials": credentials,
    }  # fmt: skip
    share = {"exchange": "NSE", "currency": "INR", "tick_size": "0.05", "lot_size": "1"}
    if _call("POST", f"{base}/broker-connections", oms_key, connection) is None:
        changes = {"base_url": kite_url, "credentials": credentials}
        _call("PATCH", f"{base}/broker-connections/{CONNECTION}", oms_key, changes)
    token = _call("POST", f"{kite_url}/control/log_in", "", {})
    _call("POST", f"{base}/brokers/{CONNECTION}/session", oms_key, {"request_token": (token or {})["result"]})
    _call("PUT", f"{base}/instruments/RELIANCE", oms_key, share)
    _call("POST", f"{base}/portfolios", oms_key, {"name": PORTFOLIO, "base_currency": "INR"})
    assignment = {"broker": "zerodha", "connection": CONNECTION}
    _call("PATCH", f"{base}/portfolios/{PORTFOLIO}", oms_key, assignment)


def _call(method: str, url: str, key: str, body: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the answer, None if the request was refused."""
    request = urllib.request.Request(url, json.dumps(body).encode(), method=method)  # noqa: S310  # loopback
    request.add_header("Content-Type", "application/json")
    if key:
        request.add_header("X-API-Key", key)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
            found: dict[str, Any] = json.load(answer)
            return found
    except urllib.error.HTTPError:
        return None


def add_ibkr(programs: list[Program], folder: Path, port: int, *, is_installed: bool) -> None:
    """Add the stand-in of TWS, and the process that trades there on the database of the OMS.

    The OMS then has the connection `env-ibkr`. Nothing is added without the extra `ibkr`.
    """
    if not is_installed:
        return
    tws = [sys.executable, "-m", "tests.brokers.standins.ibkr", "--port", str(port)]
    programs.append(Program("tws", tws, folder, _select(programs[0].environment, {}), port, has_health=False))
    access = {"IB_HOST": LOOPBACK, "IB_PORT": str(port)}
    trader = [sys.executable, "-m", "app.brokers.ibkr"]
    environment = {**programs[0].environment, **access}
    programs.append(Program("ibkr", trader, folder, environment, 0, has_health=False))


def _select(environment: Mapping[str, str], access: Mapping[str, str]) -> dict[str, str]:
    """Return what the stand-in needs, without the keys of the services."""
    inherited = {name: environment[name] for name in ("PATH", "HOME", "LANG") if name in environment}
    return {**inherited, **access, "PYTHONUNBUFFERED": "1"}
