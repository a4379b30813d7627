"""Start the whole product on this machine: `make run`, `make run-with-brokers` or `make dev`.

Creates the `.env` files of a first start, migrates the database, and starts the OMS, the bot and, without a
Slack token, the Slack simulator. It prints their addresses, restarts programs that crash, and runs until
Ctrl-C or SIGTERM. With `--reload` it also restarts a program whose source files change. Exit status: 0 after
a requested stop, 1 if something could not be started or had to be killed.
"""

import http.client
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

from dotenv import dotenv_values

from broker_programs import (
    DEFAULT_SEED,
    DEMO_PORTFOLIOS,
    Service,
    add_brokers,
    add_ibkr,
    connect_kite,
    create_portfolio,
    show_reports,
)
from env_files import ensure_service_files
from file_watcher import FileWatcher
from supervisor import Program, describe_exit, print_line, stop_all

ROOT = Path(__file__).resolve().parent.parent
LOOPBACK = "127.0.0.1"
START_SECONDS = 60.0
POLL_SECONDS = 0.05
WATCH_SECONDS = 0.5
PORTS = {"OMS_PORT": 8001, "BOT_PORT": 3000, "SIMULATOR_PORT": 3010}
SIMULATED_APP = {"SLACK_CLIENT_ID": "1.2", "SLACK_CLIENT_SECRET": "of-the-simulator"}
CANNOT_START = 1

Values = Mapping[str, str]


class CannotStartError(Exception):
    """Something on this machine prevents the start. The message says what to do."""


class StopRequested(Exception):  # a request, not an error
    """Ctrl-C or SIGTERM was received."""


def choose_ports(environment: Values, oms: Values, bot: Values) -> dict[str, int]:
    """Return the port of each program: from the environment, the service's `.env`, or the default."""
    settings = {
        "OMS_PORT": environment.get("OMS_PORT") or oms.get("PORT"),
        "BOT_PORT": environment.get("BOT_PORT") or bot.get("PORT"),
        "SIMULATOR_PORT": environment.get("SIMULATOR_PORT"),
    }
    return {
        name: _parse_port(name, settings[name] or str(default_port)) for name, default_port in PORTS.items()
    }


def list_programs(
    environment: Values, bot: Values, ports: Mapping[str, int], oms: Values | None = None
) -> list[Program]:
    """Return the programs to run, the OMS first, each with its complete environment.

    `bot` and `oms` hold the values of the services' `.env`. Without a Slack token the simulator is included.
    It and the bot share random secrets, which are not written to disk, and the same key of the OMS.
    """
    base = {name: value for name, value in environment.items() if name not in PORTS}
    oms_environment = base | {"PORT": str(ports["OMS_PORT"])}
    bot_environment = base | {"PORT": str(ports["BOT_PORT"])}
    if _is_here(base.get("OMS_API_URL") or bot.get("OMS_API_URL") or ""):
        bot_environment["OMS_API_URL"] = _build_url(ports["OMS_PORT"])
        key, statement_secret = choose_bot_secrets(base, bot, oms or {})
        if key:
            oms_environment |= {"OMS_BOT_KEY": key, "BOT_STATEMENT_SECRET": statement_secret}
            bot_environment |= {"OMS_API_KEY": key, "BOT_STATEMENT_SECRET": statement_secret}
    programs = [_build_program("oms-api", ["-m", "app.main"], "oms-api", oms_environment, ports["OMS_PORT"])]
    if not (base.get("SLACK_BOT_TOKEN") or bot.get("SLACK_BOT_TOKEN")):
        shared = create_slack_secrets()
        if (base.get("ENVIRONMENT") or bot.get("ENVIRONMENT")) != "production":  # which needs more settings
            bot_environment |= SIMULATED_APP
        bot_environment |= shared | {
            "SLACK_API_URL": f"{_build_url(ports['SIMULATOR_PORT'])}/api/",
            "SLACK_APP_TOKEN": "",
        }
        simulator = (
            base | shared | {"BOT_URL": _build_url(ports["BOT_PORT"]), "PORT": str(ports["SIMULATOR_PORT"])}
        )
        simulator["HOST"] = LOOPBACK
        simulator |= _build_simulator_settings(bot_environment, bot)
        programs.append(
            _build_program("simulator", ["-m", "simulator"], "slack-bot", simulator, ports["SIMULATOR_PORT"])
        )
    programs.append(_build_program("slack-bot", ["main.py"], "slack-bot", bot_environment, ports["BOT_PORT"]))
    return programs


def choose_bot_secrets(environment: Values, bot: Values, oms: Values) -> tuple[str, str]:
    """Return the key of the bot and the secret with which it claims its workspace.

    Values that are not set are generated at each start. Both values are empty if the bot's settings name a
    separate key.
    """
    own = environment.get("OMS_API_KEY") or oms.get("OMS_API_KEY")
    current = environment.get("OMS_API_KEY") or bot.get("OMS_API_KEY")
    shared = environment.get("OMS_BOT_KEY") or oms.get("OMS_BOT_KEY")
    if current and current not in (own, shared):
        return "", ""
    set_secrets = (values.get("BOT_STATEMENT_SECRET") for values in (environment, oms, bot))
    statement_secret = next(filter(None, set_secrets), secrets.token_urlsafe(48))
    return shared or secrets.token_urlsafe(48), statement_secret


def create_slack_secrets() -> dict[str, str]:
    """Return a token and a signing secret for one start, in Slack's format."""
    return {
        "SLACK_BOT_TOKEN": f"xoxb-{secrets.token_hex(24)}",
        "SLACK_SIGNING_SECRET": secrets.token_hex(16),
    }


def require_free(programs: list[Program]) -> None:
    """Raise CannotStartError with the port and the variable to change if another program uses a port."""
    variables = {
        "oms-api": "OMS_PORT",
        "slack-bot": "BOT_PORT",
        "simulator": "SIMULATOR_PORT",
        "alpaca": "ALPACA_PORT",
        "kite": "KITE_PORT",
        "tws": "TWS_PORT",
    }
    for program in programs:
        if program.port and is_port_open(program.port):
            name = variables[program.name]
            raise CannotStartError(
                f"Port {program.port}, which {program.name} needs, is taken by another program. "
                f"Stop that one, or choose another port: make run {name}={program.port + 100}"
            )


def is_port_open(port: int) -> bool:
    """Return whether something on this machine accepts connections at the port."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((LOOPBACK, port)) == 0


def is_healthy(port: int) -> bool:
    """Return whether the server at the port responds with 200 to `GET /health`."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=2.0)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def wait_until_healthy(programs: list[Program]) -> None:
    """Wait until every program responds. Raises CannotStartError if one ends or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    waiting_programs = list(programs)
    while waiting_programs:
        for program in waiting_programs:
            if (code := program.get_return_code()) is not None:
                raise CannotStartError(f"{program.name} {describe_exit(code)}; see its output above.")
        if time.monotonic() > deadline:
            names = ", ".join(program.name for program in waiting_programs)
            raise CannotStartError(f"{names} did not answer /health within {START_SECONDS:.0f} s.")
        waiting_programs = [
            program for program in waiting_programs if program.has_health and not is_healthy(program.port)
        ]
        time.sleep(POLL_SECONDS)


def keep_running(programs: list[Program], watchers: Mapping[str, FileWatcher] | None = None) -> None:
    """Restart programs that crash until a stop is requested. Skip programs that were started manually.

    `watchers` by the name of a program find changes of its files. Then the program is restarted too.
    """
    while True:
        now = time.monotonic()
        restart_changed(programs, watchers or {})
        for program in programs:
            if program.process is None:
                _start_if_due(program, now)
            elif (code := program.get_return_code()) is not None:
                program.signal(signal.SIGKILL)  # kill its group before the port is used again
                wait = program.schedule_restart(now)
                print_line(
                    program.name,
                    f"{describe_exit(code)}. The others keep running; restarting it in {wait:.1f} s.",
                )
        time.sleep(POLL_SECONDS)


def create_watchers(programs: list[Program]) -> dict[str, FileWatcher]:
    """Return a watcher of the source files of each program."""
    names = {"oms-api": ["oms-api/app"], "slack-bot": ["slack-bot/app"], "simulator": ["slack-bot/simulator"]}
    return {
        program.name: FileWatcher([ROOT / folder for folder in names[program.name]], WATCH_SECONDS)
        for program in programs
        if program.name in names
    }


def restart_changed(programs: Sequence[Program], watchers: Mapping[str, FileWatcher]) -> None:
    """Restart the programs whose files have changed."""
    for program in programs:
        watcher = watchers.get(program.name)
        changes = watcher.find_changes() if watcher is not None else []
        if not changes:
            continue
        print_line(program.name, f"{changes[0].name} has changed: restarting.")
        stop_all([program])
        program.start()


def format_banner(programs: list[Program], key_file: str) -> str:
    """Return the text shown after the start: addresses, and how to stop."""
    ports = {program.name: program.port for program in programs}
    lines = ["", "SlackOMS is running."]
    if "simulator" in ports:
        lines.append(f"  Slack simulator   {_build_url(ports['simulator'])}       type /trade AAPL here")
    lines += [_describe_stand_in(name, ports[name]) for name in DEMO_PORTFOLIOS if name in ports]
    lines += [
        f"  OMS               {_build_url(ports['oms-api'])}/docs  REST; the key is in {key_file}",
        f"  Slack bot         {_build_url(ports['slack-bot'])}/health",
        "Press Ctrl-C to stop.",
        "",
    ]
    return "\n".join(lines)


def migrate_database(oms: Program) -> None:
    """Migrate the OMS's database. Raises CannotStartError if that fails."""
    command = [sys.executable, "-m", "app.migrate"]
    process = subprocess.run(command, cwd=oms.folder, env=dict(oms.environment), check=False)
    if process.returncode != 0:
        raise CannotStartError("The database could not be migrated; see the output above.")


def connect_brokers(programs: list[Program], oms_key: str) -> None:
    """Connect the OMS to the stand-ins, and create a portfolio that trades at each."""
    stand_ins = {program.name: program for program in programs if program.name in DEMO_PORTFOLIOS}
    oms = Service(_build_url(programs[0].port), oms_key)
    for name, program in stand_ins.items():
        try:
            if name == "kite":
                connect_kite(oms, program)
            create_portfolio(oms, DEMO_PORTFOLIOS[name])
        except (OSError, TypeError, KeyError) as error:
            print_line(name, f"the OMS could not be connected to it: {type(error).__name__}.")


def _describe_stand_in(name: str, port: int) -> str:
    """Return the line of the banner about a stand-in."""
    demo = DEMO_PORTFOLIOS[name]
    labels = {"alpaca": "Alpaca", "kite": "Zerodha", "tws": "TWS"}
    address = f"{LOOPBACK}:{port}" if name == "tws" else f"{_build_url(port)}/control"
    return f"  {labels[name] + ' stand-in':<17} {address:<32} portfolio {demo.name}: /trade {demo.symbol}"


def _parse_broker_ports(environment: Values) -> tuple[int, int]:
    default_ports = {"ALPACA_PORT": "3020", "KITE_PORT": "3021"}
    alpaca, kite = (_parse_port(name, environment.get(name) or port) for name, port in default_ports.items())
    return alpaca, kite


def run(*, with_brokers: bool = False, reload: bool = False) -> None:
    """Start everything and keep it running. Raises CannotStartError or StopRequested."""
    for path in ensure_service_files(ROOT):
        print(f"Wrote {path.relative_to(ROOT)} with a fresh random key.", flush=True)
    oms, bot = (_read_values(ROOT / service / ".env") for service in ("oms-api", "slack-bot"))
    programs = list_programs(os.environ, bot, choose_ports(os.environ, oms, bot), oms)
    if with_brokers:
        tws_port = _parse_port("TWS_PORT", os.environ.get("TWS_PORT") or "4002")
        seed = os.environ.get("SIMULATION_SEED") or oms.get("SIMULATION_SEED") or DEFAULT_SEED
        has_ibkr = find_spec("ib_async") is not None
        add_brokers(programs, ROOT / "oms-api", *_parse_broker_ports(os.environ), seed=seed)
        add_ibkr(programs, ROOT / "oms-api", tws_port, is_installed=has_ibkr, seed=seed)
        show_reports(programs, bot)
    require_free(programs)
    try:
        for program in programs[1:]:
            program.start()
        # In development the OMS migrates its database itself when it starts.
        if (os.environ.get("ENVIRONMENT") or oms.get("ENVIRONMENT")) == "production":
            migrate_database(programs[0])
        programs[0].start()
        wait_until_healthy(programs)
        if with_brokers:
            connect_brokers(programs, os.environ.get("OMS_API_KEY") or oms.get("OMS_API_KEY") or "")
        print(format_banner(programs, "oms-api/.env"), flush=True)
        keep_running(programs, create_watchers(programs) if reload else None)
    finally:
        _ignore_signals()
        if not stop_all(programs):
            raise CannotStartError("Some programs had to be killed.")


def main() -> int:
    """Run until asked to stop. Return the exit status."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _request_stop)
    try:
        run(with_brokers="--with-brokers" in sys.argv[1:], reload="--reload" in sys.argv[1:])
    except StopRequested:
        print("Stopped.", flush=True)
    except CannotStartError as error:
        print(f"make run: {error}", file=sys.stderr, flush=True)
        return CANNOT_START
    return 0


def _request_stop(_number: int, _frame: FrameType | None) -> None:
    raise StopRequested


def _ignore_signals() -> None:
    # The shutdown is bounded from here on. A second Ctrl-C must not leave some programs running.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _start_if_due(program: Program, now: float) -> None:
    if now < program.restart_at:
        return
    if is_port_open(program.port):
        if not program.crash_count:
            return
        print_line(program.name, f"port {program.port} is used by another program: not restarting.")
        program.crash_count = 0
    else:
        program.start()
        print_line(program.name, "started again.")


def _build_simulator_settings(bot_environment: Values, bot: Values) -> dict[str, str]:
    """Return the URL and the key of the OMS, which the simulator uses to show its state."""
    names = ("OMS_API_URL", "OMS_API_KEY")
    return {name: value for name in names if (value := bot_environment.get(name) or bot.get(name))}


def _build_program(
    name: str, arguments: list[str], folder: str, environment: Mapping[str, str], port: int
) -> Program:
    unbuffered = {**environment, "PYTHONUNBUFFERED": "1"}
    return Program(name, [sys.executable, *arguments], ROOT / folder, unbuffered, port)


def _read_values(path: Path) -> dict[str, str]:
    return {name: value for name, value in dotenv_values(path).items() if value}


def _parse_port(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise CannotStartError(f"{name} must be a port number from 1 to 65535.")
    return int(text)


def _is_here(url: str) -> bool:
    host = url.partition("://")[2] or url
    return not host or host.split("/")[0].rsplit(":", 1)[0] in {LOOPBACK, "localhost"}


def _build_url(port: int) -> str:
    return f"http://{LOOPBACK}:{port}"


if __name__ == "__main__":
    sys.exit(main())
