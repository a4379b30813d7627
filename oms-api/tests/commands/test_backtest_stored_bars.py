"""`python -m app.backtest --data bars` runs on the bars that the service stores, as the REST API does."""

import json

import pytest

from app.backtest import CANNOT, DONE, main
from app.backtests.service.jobs import BacktestJobs
from app.clock import utc_now
from app.config import load_settings
from app.database import Readers
from app.market_data.service import Market
from app.market_data.sources.simulated import SimulatedSource
from app.sandbox.service.policy import SandboxPolicy
from tests.factories import BOOTSTRAP_KEY

CROSS = "slackoms_strategy.examples.moving_average_cross:MovingAverageCross"
FROM, TO = "2026-01-05", "2026-01-06"
ARGUMENTS = [CROSS, "--data", "bars", "--from", FROM, "--to", TO, "--interval", "5m"]


@pytest.fixture
def environment(service, monkeypatch):
    """Set the variables of a command that uses the database of the service."""
    monkeypatch.setenv("OMS_API_KEY", BOOTSTRAP_KEY)
    monkeypatch.setenv("DATABASE_URL", service.database_url)
    return load_settings()


def _run(capsys, *arguments):
    status = main([*ARGUMENTS, *arguments])
    output = capsys.readouterr()
    return status, output.out, output.err


def test_result_and_data_hash_equal_the_rest_api(api, service, environment, capsys, tmp_path):
    body = {
        "strategy": "moving_average_cross", "parameters": {"fast": 3, "slow": 8}, "symbols": ["AAPL", "MSFT"],
        "from": FROM, "to": TO, "interval": "5m", "cash": "100000", "cost_schedule": "flat:1",
    }  # fmt: skip
    backtest_id = api.post("/backtests", body).json()["id"]
    readers = Readers(service.engine, 1)
    market = Market(SimulatedSource(environment.simulation_seed), readers)
    jobs = BacktestJobs(service.engine, market, SandboxPolicy(is_on=True), utc_now)
    while jobs.run_next():
        pass
    readers.close()
    backtest = api.get(f"/backtests/{backtest_id}").json()
    arguments = ["--symbols", "AAPL,MSFT", "--param", "fast=3", "--param", "slow=8", "--cash", "100000"]
    status, text, _ = _run(capsys, *arguments, "--costs", "flat:1", "--json", "--out", str(tmp_path))
    assert status == DONE
    stored = json.loads((tmp_path / "statistics.json").read_text(encoding="utf-8"))
    assert (json.loads(text.splitlines()[-1])["bars"], stored["data_hash"]) == (576, backtest["data_hash"])
    assert stored["result_hash"] == backtest["result_hash"]
    assert backtest["statistics"]["fills"] > 0


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--symbols", "AAPL", "--from", "2099-01-01", "--to", "2099-01-02"], "There are no bars"),
        (["--symbols", "AAPL,XAU/NOK"], "There are no bars of XAU/NOK from 2026-01-05"),
        ([], "--data bars needs --symbols and --from."),
        (["--symbols", "AAPL", "--tenant", "nobody"], "There is no tenant 'nobody'."),
    ],
)
@pytest.mark.usefixtures("environment")
def test_wrong_argument_is_named(capsys, arguments, problem):
    status, _, error = _run(capsys, *arguments)
    assert (status, problem in error) == (CANNOT, True), error


def test_database_that_cannot_be_used_is_named(capsys, monkeypatch):
    monkeypatch.setenv("OMS_API_KEY", BOOTSTRAP_KEY)
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    status, _, error = _run(capsys, "--symbols", "AAPL")
    assert status == CANNOT
    assert "The database cannot be used" in error
    monkeypatch.delenv("OMS_API_KEY")
    status, _, error = _run(capsys, "--symbols", "AAPL")
    assert (status, "OMS_API_KEY" in error) == (CANNOT, True)
