"""Daily reports as files in Slack, without fakes: the job of the OMS, its events, bot and simulator."""

import httpx
import pytest

from deployment import LOOPBACK, build_sqlite_url, run_deployment, wait_until

pytestmark = pytest.mark.e2e

CHANNEL = "C0TRADING01"
JOB = "/jobs/daily-reports:run"
AGAIN = "The OMS generated this report again"


@pytest.fixture
def reporting_product(tmp_path):
    """Provide the product with reports to Slack, after the bot has subscribed to events."""
    with run_deployment(
        build_sqlite_url(tmp_path), REPORTS_SLACK="on", TRADING_CHANNEL=CHANNEL
    ) as deployment:
        wait_until(lambda: bool(deployment.get("/webhooks")))
        yield deployment


def list_reports(deployment):
    """Return the messages of the channel that have a file."""
    url = f"{deployment.url('simulator')}/control/state?user=ava&channel=trading"
    messages = httpx.get(url, **LOOPBACK).raise_for_status().json()["messages"]
    return [message for message in messages if message.get("files")]


def read_downloaded_lines(deployment, message):
    """Return the lines of the file of a message."""
    (file,) = message["files"]
    url = f"{deployment.url('simulator')}/files/{file['id']}"
    return httpx.get(url, **LOOPBACK).raise_for_status().text.splitlines()


def test_daily_job_uploads_each_report_once_and_marks_repeats(reporting_product):
    reporting_product.request_as_admin("POST", "/portfolios", name="Reported")
    reporting_product.request_as_admin("POST", JOB)
    wait_until(lambda: len(list_reports(reporting_product)) == 3)
    reports = {
        message["files"][0]["name"].partition("-")[0]: message for message in list_reports(reporting_product)
    }
    assert reports.keys() == {"pnl", "trades", "risk"}
    heading, row = read_downloaded_lines(reporting_product, reports["risk"])
    assert heading.startswith("portfolio_name,")
    assert row.startswith("Reported,USD,")
    assert read_downloaded_lines(reporting_product, reports["trades"])[0].startswith("trade_id,")
    assert not any(AGAIN in message["text"] for message in reports.values())

    reporting_product.request_as_admin("POST", JOB)
    wait_until(lambda: len(list_reports(reporting_product)) == 6)
    assert sum(AGAIN in message["text"] for message in list_reports(reporting_product)) == 3
