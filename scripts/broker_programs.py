"""The stand-ins of brokers that `make run-with-brokers` starts beside the desk."""

import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

from supervisor import Program

LOOPBACK = "127.0.0.1"
KEY_ID = "PKSTANDIN"


def add_brokers(programs: list[Program], folder: Path, port: int) -> None:
    """Add the stand-in of Alpaca, and connect the OMS, which is the first program, to it.

    The OMS then has the connection `env-alpaca`. The secret is new in each start and not written to disk.
    """
    access = {"ALPACA_API_KEY": KEY_ID, "ALPACA_API_SECRET": secrets.token_hex(20)}
    oms = programs[0]
    oms.environment = {**oms.environment, **access, "ALPACA_BASE_URL": f"http://{LOOPBACK}:{port}"}
    command = [sys.executable, "-m", "tests.brokers.standins.alpaca", "--port", str(port)]
    programs.append(Program("alpaca", command, folder, _select(oms.environment, access), port))


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
