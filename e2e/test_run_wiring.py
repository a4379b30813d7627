"""The decisions of `make run` before it starts a program."""

import os
import socket

import pytest
from typing_extensions import override

import run
from broker_programs import add_brokers, add_ibkr, show_reports
from file_watcher import FileWatcher
from supervisor import Program, describe_exit

PORTS = {"OMS_PORT": 8001, "BOT_PORT": 3000, "SIMULATOR_PORT": 3010}


def index_programs(environment, bot=(), ports=PORTS):
    return {program.name: program for program in run.list_programs(environment, dict(bot), ports)}


def test_simulator_starts_without_a_slack_token():
    assert list(index_programs({})) == ["oms-api", "simulator", "slack-bot"]


def test_brokers_are_added_with_a_secret_that_only_the_oms_shares():
    programs = run.list_programs({"OMS_API_KEY": "k" * 40}, {}, PORTS)
    add_brokers(programs, programs[0].folder, 3020)
    api, alpaca, kite = (programs[place].environment for place in (0, -2, -1))
    assert [program.name for program in programs[-2:]] == ["alpaca", "kite"]
    assert kite["KITE_API_SECRET"] not in (alpaca["ALPACA_API_SECRET"], *api.values())
    assert "OMS_API_KEY" not in kite
    assert api["ALPACA_BASE_URL"] == "http://127.0.0.1:3020"
    assert api["ALPACA_API_SECRET"] == alpaca["ALPACA_API_SECRET"]
    assert "OMS_API_KEY" not in alpaca
    assert not any("ALPACA_API_SECRET" in each.environment for each in programs[1:-2])
    banner = run.format_banner(programs, "oms-api/.env")
    assert "http://127.0.0.1:3020/control" in banner
    assert "portfolio America: /trade AAPL" in banner
    assert "portfolio India: /trade RELIANCE" in banner


def test_stand_ins_follow_the_simulated_prices_and_keep_their_accounts():
    programs = run.list_programs({"OMS_API_KEY": "k" * 40}, {}, PORTS)
    add_brokers(programs, programs[0].folder, 3020, seed="another")
    add_ibkr(programs, programs[0].folder, 4002, is_installed=True, seed="another")
    for program in programs[3:-1]:
        assert "--seed=another" in program.command
        assert program.command[program.command.index("--account-file") + 1].startswith(".standins/")


def test_reports_of_brokers_are_shown_in_the_simulator():
    def find_channel(environment, bot):
        programs = run.list_programs(environment, bot, PORTS)
        show_reports(programs, bot)
        return {program.name: program for program in programs}["slack-bot"].environment.get("TRADING_CHANNEL")

    assert find_channel({}, {}) == "C0TRADING01"
    assert find_channel({}, {"TRADING_CHANNEL": "C7"}) is None  # its .env has it
    assert find_channel({"TRADING_CHANNEL": "C8"}, {}) == "C8"
    assert find_channel({"SLACK_BOT_TOKEN": "xoxb-real"}, {}) is None


def test_ibkr_is_added_with_its_process_where_it_is_installed():
    programs = run.list_programs({"OMS_API_KEY": "k" * 40}, {}, PORTS)
    before = len(programs)
    add_ibkr(programs, programs[0].folder, 4002, is_installed=False)
    assert len(programs) == before
    add_ibkr(programs, programs[0].folder, 4002, is_installed=True)
    tws, process = programs[-2:]
    assert "OMS_API_KEY" not in tws.environment
    assert process.environment["IB_PORT"] == "4002"
    assert process.environment["OMS_API_KEY"] == "k" * 40
    banner = run.format_banner(programs, "oms-api/.env")
    assert "127.0.0.1:4002" in banner
    assert "portfolio Currencies: /trade EURUSD" in banner


@pytest.mark.parametrize("where", ["environment", "file"])
def test_simulator_does_not_start_with_a_slack_token(where):
    token = {"SLACK_BOT_TOKEN": "xoxb-real"}
    programs = index_programs(token) if where == "environment" else index_programs({}, token)
    assert "simulator" not in programs
    assert "SLACK_API_URL" not in programs["slack-bot"].environment


def test_bot_and_simulator_share_secrets_that_the_oms_does_not_see():
    programs = index_programs({})
    for name in ("SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET"):
        assert programs["slack-bot"].environment[name] == programs["simulator"].environment[name]
        assert name not in programs["oms-api"].environment


def test_bot_gets_a_key_that_the_oms_knows_and_never_the_oms_own_key():
    own = {"OMS_API_KEY": "k" * 40}
    oms_files: tuple[dict[str, str], ...] = (
        {},
        own,
        own | {"OMS_BOT_KEY": "b" * 40, "BOT_STATEMENT_SECRET": "s" * 40},
    )
    for environment, bot, oms in ((own, {}, {}), *(({}, own if oms else {}, oms) for oms in oms_files)):
        programs = {program.name: program for program in run.list_programs(environment, bot, PORTS, oms)}
        api, slack_bot = (programs[name].environment for name in ("oms-api", "slack-bot"))
        assert slack_bot["OMS_API_KEY"] == api["OMS_BOT_KEY"] != "k" * 40
        assert slack_bot["BOT_STATEMENT_SECRET"] == api["BOT_STATEMENT_SECRET"]
        assert api.get("OMS_API_KEY", "k" * 40) == "k" * 40
        assert api["OMS_BOT_KEY"] == oms.get("OMS_BOT_KEY", api["OMS_BOT_KEY"])


def test_bot_keeps_its_configured_key():
    programs = run.list_programs({}, {"OMS_API_KEY": "b" * 40}, PORTS, {"OMS_API_KEY": "k" * 40})
    assert not any(
        "OMS_API_KEY" in program.environment or "OMS_BOT_KEY" in program.environment
        for program in programs[:1]
    )
    assert "OMS_API_KEY" not in programs[-1].environment


def test_each_start_generates_new_secrets():
    assert run.create_slack_secrets() != run.create_slack_secrets()


@pytest.mark.parametrize("where", ["environment", "file"])
def test_simulator_asks_the_bots_oms_with_the_bots_key(where):
    values = {"OMS_API_KEY": "k" * 40, "OMS_API_URL": "https://oms.example.com"}
    programs = index_programs(values) if where == "environment" else index_programs({}, values)
    environment = programs["simulator"].environment
    assert {name: environment[name] for name in values} == values


def test_simulator_uses_the_oms_that_is_started_with_it():
    programs = index_programs({}, {"OMS_API_KEY": "k" * 40}, PORTS | {"OMS_PORT": 8002})
    assert programs["simulator"].environment["OMS_API_URL"] == "http://127.0.0.1:8002"


def test_each_program_gets_the_addresses_of_the_others():
    programs = index_programs({}, ports={"OMS_PORT": 1, "BOT_PORT": 2, "SIMULATOR_PORT": 3})
    assert programs["slack-bot"].environment["OMS_API_URL"] == "http://127.0.0.1:1"
    assert programs["slack-bot"].environment["SLACK_API_URL"] == "http://127.0.0.1:3/api/"
    assert programs["simulator"].environment["BOT_URL"] == "http://127.0.0.1:2"
    assert [programs[name].environment["PORT"] for name in programs] == ["1", "3", "2"]


def test_bot_keeps_its_configured_external_oms():
    programs = index_programs({}, {"OMS_API_URL": "https://oms.example.com"})
    assert "OMS_API_URL" not in programs["slack-bot"].environment  # set in the bot's own file


def test_ports_come_from_the_environment_then_the_file_then_the_defaults():
    chosen = run.choose_ports({"OMS_PORT": "9001"}, {"PORT": "9002"}, {"PORT": "9003"})
    assert chosen == {"OMS_PORT": 9001, "BOT_PORT": 9003, "SIMULATOR_PORT": 3010}


@pytest.mark.parametrize("text", ["0", "65536", "http", "-1", "８００１", "1.5"])
def test_invalid_port_stops_the_start(text):
    with pytest.raises(run.CannotStartError, match="OMS_PORT"):
        run.choose_ports({"OMS_PORT": text}, {}, {})


def test_taken_port_is_named_with_the_variable_to_change(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        program = Program("slack-bot", [], tmp_path, {}, port)
        with pytest.raises(run.CannotStartError, match=f"Port {port}.*make run BOT_PORT="):
            run.require_free([program])


def test_pause_before_a_restart_grows_up_to_a_limit(tmp_path):
    program = Program("oms-api", [], tmp_path, {}, 1)
    assert [program.schedule_restart(now=0.0) for _ in range(7)] == [0.5, 1, 2, 4, 8, 15, 15]


def test_pause_is_reset_after_a_long_run(tmp_path):
    program = Program("oms-api", [], tmp_path, {}, 1, crash_count=5, started_at=100.0)
    assert program.schedule_restart(now=200.0) == 0.5


@pytest.mark.parametrize(("code", "description"), [(-9, "was killed by SIGKILL"), (3, "ended with status 3")])
def test_exit_status_is_described_in_words(code, description):
    assert describe_exit(code) == description


class FakeProgram(Program):
    """A program that records its restarts."""

    @override
    def start(self):
        self.crash_count += 1


def test_only_a_program_whose_files_changed_is_restarted(tmp_path):
    programs = [FakeProgram(name, [], tmp_path, {}, 1) for name in ("oms-api", "slack-bot")]
    for program in programs:
        (tmp_path / program.name / "__pycache__").mkdir(parents=True)
        (tmp_path / program.name / "main.py").touch()
    watchers = {program.name: FileWatcher([tmp_path / program.name]) for program in programs}
    run.restart_changed(programs, watchers)
    assert [program.crash_count for program in programs] == [0, 0]
    (tmp_path / "oms-api" / "main.py").write_text("changed")
    os.utime(tmp_path / "oms-api" / "main.py", (1, 1))
    (tmp_path / "slack-bot" / "__pycache__" / "main.py").touch()
    run.restart_changed(programs, watchers)
    run.restart_changed(programs, watchers)
    assert [program.crash_count for program in programs] == [1, 0]
    (tmp_path / "slack-bot" / "main.py").unlink()
    run.restart_changed(programs, watchers)
    assert [program.crash_count for program in programs] == [1, 1]


def test_every_program_of_the_product_is_watched():
    programs = run.list_programs({}, {}, PORTS)
    assert set(run.create_watchers(programs)) == {program.name for program in programs}
