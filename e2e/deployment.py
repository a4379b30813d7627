"""Run the whole product as processes on free ports with a new database, as `make run` does."""

import os
import secrets
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx

import run
from supervisor import Program, stop_all
from support.ports import find_free_ports

INHERITED_VARIABLES = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
# Requests to this machine: to read the trusted certificates would take 40 ms of each.
LOOPBACK: dict[str, Any] = {
    "trust_env": False,
    "verify": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
    "timeout": 60,  # seconds, on a slow machine
}
Json = dict[str, Any]


@dataclass
class Deployment:
    """The running programs, and a client with the API key of the OMS."""

    programs: dict[str, Program]
    key: str
    log: list[str]

    def url(self, name: str) -> str:
        """Return the address of one of the programs."""
        return f"http://127.0.0.1:{self.programs[name].port}"

    def get(self, path: str, **params: str) -> Any:
        """Send a GET request below /api/v1 of the OMS. Raises httpx.HTTPStatusError if it fails."""
        url = f"{self.url('oms-api')}/api/v1{path}"
        response = httpx.get(url, params=params, headers={"X-API-Key": self.key}, **LOOPBACK)
        return response.raise_for_status().json()

    def trades(self, **filters: str) -> list[Json]:
        """Return the trades, newest first."""
        rows: list[Json] = self.get("/trades", **filters)
        return rows

    def position(self, portfolio: str, symbol: str) -> Decimal:
        """Return the quantity of a position in units of the instrument, 0 if there is none."""
        positions = self.get(f"/portfolio/{portfolio}")["positions"]
        return Decimal(positions[symbol]["quantity"]) if symbol in positions else Decimal(0)

    def get_as_user(self, actor: str, path: str) -> httpx.Response:
        """Return the response to a GET request with the API key on behalf of a person."""
        headers = {"X-API-Key": self.key, "X-On-Behalf-Of": actor}
        return httpx.get(f"{self.url('oms-api')}/api/v1{path}", headers=headers, **LOOPBACK)

    def people(self) -> dict[str, Json]:
        """Return the users who came through Slack, by their name in the ledger."""
        return {user["person"]: user for user in self.get("/users") if user.get("person")}

    def request_as_admin(self, method: str, path: str, **body: Any) -> Json:
        """Send a request below /api/v1 as an administrator. Raises httpx.HTTPStatusError if it fails."""
        url = f"{self.url('oms-api')}/api/v1{path}"
        headers = {"X-API-Key": self.key, "Idempotency-Key": secrets.token_hex(8)}
        response = httpx.request(method, url, json=body, headers=headers, **LOOPBACK)
        result: Json = response.raise_for_status().json()
        return result

    def change_person(self, actor: str, **changes: Any) -> None:
        """Change a user."""
        self.request_as_admin("PATCH", f"/users/{self.people()[actor]['id']}", **changes)

    def act(self, user: str, verb: str, **body: Any) -> Json:
        """Act as a person in the simulator over its control API. Raises httpx.HTTPStatusError if it fails."""
        url = f"{self.url('simulator')}/control/{verb}"
        response = httpx.post(url, json={"user": user} | body, **LOOPBACK)
        result: Json = response.raise_for_status().json()
        return result

    def register_user(self, user: str, actor: str) -> None:
        """Let a person use the bot once without a form, so that the OMS knows them."""
        self.act(user, "say", channel="trading", text="/desk positions")
        wait_until(lambda: actor in self.people())

    def find_form(self, user: str) -> Json | None:
        """Return the open form of a person in the simulator, None if there is none."""
        url = f"{self.url('simulator')}/control/state"
        views = httpx.get(url, **LOOPBACK).raise_for_status().json()["views"][user]
        return views[-1] if views else None

    def restart_bot_with(self, key: str) -> None:
        """Restart the bot with another API key of the OMS."""
        bot = self.programs["slack-bot"]
        bot.signal(signal.SIGTERM)
        assert bot.process is not None
        bot.process.wait(timeout=60)
        bot.environment = {**bot.environment, "OMS_API_KEY": key}
        bot.start()
        run.wait_until_healthy([bot])

    def run_bot_command(self, *arguments: str, standard_input: str = "") -> str:
        """Run a command of the operator with the settings of the bot. Return its output."""
        bot = self.programs["slack-bot"]
        completed = subprocess.run(
            [sys.executable, "-m", *arguments], cwd=bot.folder, env=dict(bot.environment),
            input=standard_input, capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        return completed.stdout

    def kill_oms(self) -> None:
        """Kill the OMS."""
        self._stop_oms(signal.SIGKILL)

    def stop_oms(self) -> None:
        """Stop the OMS, and wait until it has ended."""
        self._stop_oms(signal.SIGTERM)

    def start_oms(self) -> None:
        """Start the OMS again, and wait until it responds."""
        oms = self.programs["oms-api"]
        oms.start()
        run.wait_until_healthy([oms])

    def _stop_oms(self, number: signal.Signals) -> None:
        oms = self.programs["oms-api"]
        oms.signal(number)
        assert oms.process is not None
        oms.process.wait(timeout=60)


def build_environment() -> dict[str, str]:
    """Return the environment that programs need, without settings of the product."""
    return {name: value for name, value in os.environ.items() if name in INHERITED_VARIABLES}


def run_deployment(database_url: str, **settings: str) -> AbstractContextManager[Deployment]:
    """Start OMS, simulator and bot on a new database, and stop them at the end."""
    return _run_programs(database_url, settings)


def run_two_bots(
    database_url: str, balancer_port: int, port: int, **settings: str
) -> AbstractContextManager[Deployment]:
    """Start the product with a second bot on a port. Slack and the OMS send to a balancer."""
    return _run_programs(database_url, settings, (balancer_port, port))


@contextmanager
def _run_programs(
    database_url: str, settings: Mapping[str, str], second_bot: tuple[int, int] | None = None
) -> Iterator[Deployment]:
    key = secrets.token_urlsafe(48)
    environment = build_environment() | {
        "OMS_API_KEY": key,
        "OMS_API_URL": "http://127.0.0.1",
        "DATABASE_URL": database_url,
        "ENVIRONMENT": "development",
        "LOG_FORMAT": "console",
        "HOST": "127.0.0.1",
        "BOT_DATABASE_URL": "sqlite://",
        **settings,
    }
    ports = dict(zip(run.PORTS, find_free_ports(len(run.PORTS)), strict=True))
    programs = run.list_programs(environment, {}, ports)
    if second_bot is not None:
        _add_second_bot(programs, *second_bot)
    log: list[str] = []
    for program in programs:
        program.write_line = lambda name, line: log.append(f"{name:<9} | {line}")
    try:
        run.migrate_database(programs[0])
        for program in programs:
            program.start()
        run.wait_until_healthy(programs)
        wait_until(lambda: any("Workspace claimed" in line for line in log))
        yield Deployment({program.name: program for program in programs}, key, log)
    finally:
        stop_all(programs)


def _add_second_bot(programs: list[Program], balancer_port: int, port: int) -> None:
    _, simulator, bot = programs
    address = f"http://127.0.0.1:{balancer_port}"
    simulator.environment = {**simulator.environment, "BOT_URL": address}
    bot.environment = {**bot.environment, "OMS_EVENTS_URL": address}
    programs.append(
        replace(bot, name="second-bot", port=port, environment={**bot.environment, "PORT": str(port)})
    )


def build_sqlite_url(folder: Path) -> str:
    """Return the URL of a new SQLite database in the folder."""
    return f"sqlite:///{folder / 'books.db'}"


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until the condition is true. Fail after the timeout.

    The pauses grow, so that a long wait for a response of the OMS stays below its rate limit.
    """
    deadline, pause = time.monotonic() + seconds, 0.02
    while not condition():
        assert time.monotonic() < deadline, f"it did not come true within {seconds:.0f} s"
        time.sleep(pause)
        pause = min(pause * 1.2, 0.25)
