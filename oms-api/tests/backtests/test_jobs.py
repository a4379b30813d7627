"""Backtests over REST: queued, run by a job, read, compared and deleted."""

from contextlib import closing

import pytest
from sqlalchemy import update

from app.backtests.models import BacktestRow
from app.backtests.queries import claim_backtest, has_due_backtest
from app.backtests.service.jobs import LEASE, BacktestJobs
from app.backtests.service.loading import locate_code
from app.clock import utc_now
from app.database import Readers, set_all_tenants_scope, unit_of_work
from app.market_data.service import Market
from app.market_data.sources.simulated import SimulatedSource
from app.sandbox.service.policy import SandboxPolicy
from tests.support.event_schemas import VALIDATORS

POLICY = SandboxPolicy(is_on=True)
BACKTEST = {
    "strategy": "moving_average_cross",
    "parameters": {"fast": 3, "slow": 8},
    "symbols": ["AAPL"],
    "from": "2026-01-05",
    "to": "2026-01-06",
    "interval": "5m",
    "cash": "100000",
    "cost_schedule": "us_equity",
    "seed": 7,
}


@pytest.fixture
def job_runner(service):
    """Provide the job runner on simulated bars, after it has run the backtests of other tests."""
    readers = Readers(service.engine, 1)
    jobs = BacktestJobs(service.engine, Market(SimulatedSource("seed"), readers), POLICY, utc_now)
    while jobs.run_next():
        pass
    yield jobs
    readers.close()


def queue_backtest(api, **changes):
    response = api.post("/backtests", {**BACKTEST, **changes})
    assert response.status_code == 202, response.text
    assert response.json()["status"] == "queued"
    return response.json()["id"]


def run_jobs(api, jobs, **changes):
    backtest_id = queue_backtest(api, **changes)
    assert jobs.run_next().id == backtest_id
    body = api.get(f"/backtests/{backtest_id}").json()
    assert (body["status"], body["error"], body["progress"]) == ("done", None, 1.0)
    return body


def test_job_stores_result_files_report_and_event(api, job_runner):
    backtest_id = queue_backtest(api)
    path = f"/backtests/{backtest_id}"
    assert api.get(f"{path}/fills").status_code == 409
    job_runner.run_next()
    body = api.get(path).json()
    assert (body["status"], body["statistics"]["bars"]) == ("done", 288)
    assert len({body["code_hash"], body["data_hash"], body["result_hash"]}) == 3
    orders, fills, equity = (
        api.get(f"{path}/{name}", limit=999).json() for name in ("orders", "fills", "equity")
    )
    assert len(orders) == body["statistics"]["orders"] > 0
    assert len(fills) == body["statistics"]["fills"]
    assert {"order_id", "symbol", "side", "quantity", "price", "value", "charges", "at"} == set(fills[0])
    assert float(equity[-1]["equity"]) == float(body["statistics"]["equity_final"])
    report = api.get(f"{path}/report.html")
    assert report.headers["content-type"].startswith("text/html")
    assert "sandbox" in report.headers["content-security-policy"]
    assert "Backtest of moving_average_cross" in report.text
    (event,) = api.get("/events", type="backtest.*").json()
    VALIDATORS["backtest.done"].validate(event["data"])
    assert event["data"]["backtest_id"] == backtest_id


@pytest.mark.any_database
def test_lists_have_pages_and_csv(api, job_runner):
    body = run_jobs(api, job_runner)
    path = f"/backtests/{body['id']}/equity"
    first = api.get(path, limit=5)
    assert len(first.json()) == 5
    assert 'rel="next"' in first.headers["link"]
    text = api.get(path, {"Accept": "text/csv"}).text
    assert text.startswith("at,equity,cash")


@pytest.mark.any_database
def test_same_backtest_has_the_same_hashes_and_another_parameter_shows_in_the_comparison(api, job_runner):
    first, second = run_jobs(api, job_runner), run_jobs(api, job_runner)
    other = run_jobs(api, job_runner, parameters={"fast": 2, "slow": 30})
    same = api.get("/backtests/compare", ids=f"{first['id']},{second['id']}").json()
    assert same["same_code"] is True
    assert same["same_data"] is True
    assert same["same_result"] is True
    assert same["differences"] == {}
    differs = api.get("/backtests/compare", ids=f"{first['id']},{other['id']}").json()
    assert (differs["same_data"], differs["same_result"]) == (True, False)
    assert "orders" in differs["differences"]
    assert api.get("/backtests/compare", ids=first["id"]).status_code == 422
    assert [item["id"] for item in api.get("/backtests", limit=2).json()] == [other["id"], second["id"]]


@pytest.mark.any_database
def test_result_is_the_same_without_a_sandbox(api, job_runner, service):
    sandboxed = run_jobs(api, job_runner)
    with closing(Readers(service.engine, 1)) as readers:
        market = Market(SimulatedSource("seed"), readers)
        trusting = BacktestJobs(service.engine, market, SandboxPolicy(is_on=False), utc_now)
        assert run_jobs(api, trusting)["result_hash"] == sandboxed["result_hash"]


@pytest.mark.any_database
def test_code_of_others_is_refused_where_layers_are_missing(api, service, monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(tmp_path)
    module = "from slackoms_strategy import Strategy\nclass Mine(Strategy): pass\n"
    (tmp_path / "backtested_code.py").write_text(module, encoding="utf-8")
    backtest_id, name = queue_backtest(api), "backtested_code:Mine"
    with unit_of_work(service.engine) as connection:
        set_all_tenants_scope(connection)
        changes = {"entry_point": name, "code_hash": locate_code(name).code_hash}
        connection.execute(update(BacktestRow).where(BacktestRow.id == backtest_id).values(changes))
    with closing(Readers(service.engine, 1)) as readers:
        policy = SandboxPolicy(is_on=True, list_layers=list)
        refusing = BacktestJobs(service.engine, Market(SimulatedSource("seed"), readers), policy, utc_now)
        refused = refusing.run_next()
        assert refused is not None
        assert refused.id == backtest_id
    backtest = api.get(f"/backtests/{backtest_id}").json()
    assert (backtest["status"], backtest["error"][-25:]) == ("failed", "set STRATEGY_SANDBOX=off.")


@pytest.mark.any_database
def test_changed_code_is_not_run(api, job_runner, monkeypatch):
    backtest_id = queue_backtest(api)
    monkeypatch.setattr("app.backtests.service.loading.hash_code", lambda *_: "0" * 64)
    job_runner.run_next()
    assert "The code changed" in api.get(f"/backtests/{backtest_id}").json()["error"]


@pytest.mark.any_database
def test_registered_strategy_gives_symbols_interval_and_parameters(api, job_runner):
    api.open_portfolio("Growth")
    code = {"name": "trend", "entry_point": "moving_average_cross", "portfolio": "Growth"}
    fields = {"symbols": ["MSFT"], "interval": "1h", "parameters": {"fast": 4, "slow": 9}}
    assert api.post("/strategies", code | fields).status_code == 201
    body = {"strategy": "trend", "parameters": {"fast": 3}, "from": "2026-01-05", "to": "2026-01-07"}
    backtest_id = api.post("/backtests", body).json()["id"]
    job_runner.run_next()
    backtest = api.get(f"/backtests/{backtest_id}").json()
    assert (backtest["symbols"], backtest["interval"], backtest["statistics"]["bars"]) == (["MSFT"], "1h", 48)
    assert (backtest["parameters"]["fast"], backtest["parameters"]["slow"]) == (3, 9)


@pytest.mark.any_database
def test_stored_corporate_actions_are_booked(api, job_runner):
    period = {"to": "2026-01-08", "symbols": ["GOOG"]}
    before = run_jobs(api, job_runner, **period)
    terms = {"kind": "dividend", "symbol": "GOOG", "amount": "0.5", "currency": "USD", "reason": "Announced"}
    for ex_date in ("2026-01-06", "2026-01-07", "2026-01-08"):
        assert api.post("/corporate-actions", terms | {"ex_date": ex_date}).status_code == 201
    after = run_jobs(api, job_runner, **period)
    assert before["statistics"]["dividend"] == "0.00"
    paid = float(after["statistics"]["dividend"])
    assert paid in {50.0, 100.0}  # two of the dates are in the period
    assert after["data_hash"] == before["data_hash"]


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"strategy": "nothing"}, "strategy"),
        ({"parameters": {"fast": 0}}, "parameters.fast"),
        ({"to": "2026-01-05"}, "from"),
        ({"from": "2000-01-01", "interval": "1m"}, "from"),
        ({"symbols": None}, "symbols"),
        ({"cost_schedule": "cheap"}, "cost_schedule"),
        ({"settings": {"spread": "-1"}}, "settings.spread"),
        ({"settings": {"speed": "1"}}, "settings.speed"),
    ],
)
def test_wrong_backtest_is_refused_by_field(api, changes, field):
    response = api.post("/backtests", {**BACKTEST, **changes})
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [field]


@pytest.mark.any_database
def test_failed_backtest_has_a_reason(api, job_runner):
    backtest_id = queue_backtest(api, **{"from": "2099-01-01", "to": "2099-01-02"})
    job_runner.run_next()
    body = api.get(f"/backtests/{backtest_id}").json()
    assert (body["status"], body["result_hash"]) == ("failed", None)
    assert "no bars" in body["error"]
    assert [item["type"] for item in api.get("/events", type="backtest.*").json()] == ["backtest.failed"]


def test_deleted_backtest_is_not_run_and_a_lost_one_runs_again(api, job_runner, service):
    deleted = queue_backtest(api)
    assert api.delete(f"/backtests/{deleted}").status_code == 204
    assert api.delete(f"/backtests/{deleted}").status_code == 404
    assert job_runner.run_next() is None
    lost, now = queue_backtest(api), utc_now()
    with unit_of_work(service.engine) as connection:
        set_all_tenants_scope(connection)
        claimed = claim_backtest(connection, "a process that died", now - 2 * LEASE, now - LEASE)
        assert claimed is not None
        assert claimed.id == lost
        assert has_due_backtest(connection, now)
    rerun = job_runner.run_next()
    assert rerun is not None
    assert rerun.id == lost


@pytest.mark.any_database
def test_backtest_that_is_deleted_while_it_runs_stores_nothing(api, job_runner, monkeypatch):
    backtest_id = queue_backtest(api)

    def delete(*_):
        assert api.delete(f"/backtests/{backtest_id}").status_code == 204
        return {}

    monkeypatch.setattr("app.backtests.service.jobs.compute_statistics", delete)
    monkeypatch.setattr("app.backtests.service.jobs.build_report", lambda *_: "")
    assert job_runner.run_next().id == backtest_id
    assert api.get(f"/backtests/{backtest_id}").status_code == 404
    assert api.get("/events", type="backtest.*").json() == []
