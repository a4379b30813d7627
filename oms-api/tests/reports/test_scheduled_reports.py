"""Reports of the previous day: files in a folder, and a summary for a URL."""

import asyncio
from contextlib import contextmanager
from datetime import timedelta
from io import BytesIO
from zipfile import ZipFile

import pytest

from app.assembly.background_jobs import create_jobs
from app.calendars.service import Calendars
from app.database import Readers, connect_engine
from app.jobs.service import JobRunner
from app.market_data.service import Market
from app.market_data.sources.manual import ManualSource
from app.webhooks.rules.attempts import AttemptResult
from tests.factories import BOOTSTRAP_KEY
from tests.support.clock import SetClock
from tests.support.event_schemas import VALIDATORS
from tests.support.service import ApiClient, build_settings, run_service


@contextmanager
def run_reports(url, clock, **targets):
    """Yield the engine and the runner of the job "daily reports" with the targets."""
    settings = build_settings(url, price_source="manual", **targets)
    engine = connect_engine(url, readers=1, tenant_scoped=True)
    readers = Readers(engine, 1)
    market = Market(ManualSource(), readers, timedelta(seconds=30), Calendars.load())
    jobs = create_jobs(settings, engine, market, Calendars.load(), clock)
    runner = JobRunner(engine, [job for job in jobs if job.name == "daily reports"], clock)
    yield engine, runner
    runner.close()
    readers.close()
    engine.dispose()


@pytest.mark.any_database
def test_reports_of_a_day_are_written_and_posted(backend, new_database, tmp_path, monkeypatch):
    sent, results = [], [AttemptResult(200, 1), AttemptResult(500, 1)]

    async def send(_self, tenant_id, url, headers, body):
        await asyncio.sleep(0)
        sent.append((tenant_id, url, headers["webhook-id"], body.decode()))
        return results.pop(0)

    monkeypatch.setattr("app.webhooks.service.sender.WebhookSender.send", send)
    clock, url = SetClock("2026-11-20T15:00"), new_database(backend)
    with run_service(url, now=clock, price_source="manual") as service:
        api = ApiClient(service, 1, BOOTSTRAP_KEY).open_portfolio("=Growth <1>")
        api.set_quote("AAPL", "110", "110", "110")
        api.buy("10", "100", charges="0", portfolio_name="=Growth <1>")
        limit = {"scope": "portfolio", "name": "=Growth <1>", "code": "MAX_GROSS_EXPOSURE", "value": "4400"}
        assert api.put("/limits", limit).status_code == 200
        targets = {"reports_folder": tmp_path, "reports_url": "https://hooks.slack.com/services/x"}
        with run_reports(url, clock, **targets) as (engine, runner):
            clock.set("2026-11-21T00:00:05")
            assert runner.run_due() == ["daily reports"]
            clock.set("2026-11-22T00:00:05")
            runner.run_due()
            with engine.connect() as connection:
                [failed] = runner.report(connection)
        assert api.get("/events", type="report.ready").json() == []  # REPORTS_SLACK is off
    folder = tmp_path / "default" / "2026-11-20"
    assert sorted(path.name for path in folder.iterdir()) == ["pnl.csv", "risk.csv", "trades.csv"]
    heading, risk = (folder / "risk.csv").read_text().splitlines()
    row = dict(zip(heading.split(","), risk.split(","), strict=True))
    assert row["portfolio_name"] == "'=Growth <1>"
    assert (row["gross_exposure"], row["max_gross_exposure"]) == ("1100.00", "4400.00")
    assert (row["gross_use_percent"], row["net_use_percent"]) == ("25.00", "")
    assert len((folder / "trades.csv").read_text().splitlines()) == 2
    assert len((tmp_path / "default" / "2026-11-21" / "trades.csv").read_text().splitlines()) == 1
    assert [report[:3] for report in sent] == [
        (1, "https://hooks.slack.com/services/x", f"report-default-2026-11-{day}") for day in (20, 21)
    ]
    assert "=Growth &lt;1&gt;: 1000100.00 / " in sent[0][3]
    assert failed.state.error == "PostFailed: The URL of the reports answered 500."


@pytest.mark.any_database
@pytest.mark.parametrize("file_format", ["csv", "xlsx"])
def test_bot_of_each_tenant_downloads_the_reports_that_its_events_announce(
    backend, new_database, file_format
):
    clock, url = SetClock("2026-11-20T15:00"), new_database(backend)
    with run_service(url, now=clock, price_source="manual", reports_slack="on") as service:
        first = ApiClient(service, 1, BOOTSTRAP_KEY)
        beta = first.post("/tenants", {"name": "Beta", "slug": "beta"})
        assert beta.status_code == 201, beta.text
        beta_id = beta.json()["id"]
        second = ApiClient(service, beta_id, service.create_key("read trade admin", beta_id))
        for api, name in ((first, "Growth"), (second, "Income")):
            api.buy("10", "100", charges="0", portfolio_name=name)
        targets = {"reports_tenants": ("default", "beta", "unknown"), "reports_format": file_format}
        with run_reports(url, clock, reports_slack="on", **targets) as (_, runner):
            clock.set("2026-11-21T00:00:05")
            assert runner.run_due() == ["daily reports"]
        for tenant_id, name, other in ((1, "Growth", "Income"), (beta_id, "Income", "Growth")):
            bot = ApiClient(service, tenant_id, service.create_key("bot", tenant_id))
            events = bot.get("/events", type="report.ready").json()
            assert [event["data"]["report"] for event in events] == ["risk", "trades", "pnl"]
            for event in events:
                VALIDATORS["report.ready"].validate(event["data"])
                assert (event["data"]["date"], event["data"]["file_format"]) == ("2026-11-20", file_format)
                content = download_file(bot, event["data"])
                assert name in content
                assert other not in content


def download_file(bot, payload):
    """Return the text of the file that an event announces."""
    period = {"from_": payload["period_start"], "to": payload["period_end"]}
    response = bot.get(f"/exports/{payload['report']}", format=payload["file_format"], **period)
    assert response.status_code == 200, response.text
    if payload["file_format"] == "csv":
        return response.text
    with ZipFile(BytesIO(response.content)) as workbook:
        return "".join(workbook.read(name).decode() for name in workbook.namelist())
