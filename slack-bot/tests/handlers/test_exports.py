"""`/desk export`: a CSV file in a direct message."""

import pytest

from app.services.queries import exports
from tests.fakes import Response, build_problem
from tests.handlers.portfolio_workspace import PortfolioWorkspace

TRADES = b'trade_id,note\r\nT1,"two\r\nlines"\r\nT2,\'=1+1\r\n'


@pytest.fixture
def exporter(trading: PortfolioWorkspace):
    trading.oms.exports["trades"] = TRADES
    return trading


def test_table_is_sent_as_a_file_in_a_direct_message(exporter: PortfolioWorkspace):
    body = exporter.query("export trades 2026-11 in Growth")
    assert body["response_type"] == "ephemeral"
    assert body["text"].startswith("*Trades* of 2026-11 in Growth: 2 rows.")
    assert "`trades-2026-11.csv` is in your direct messages" in body["text"]
    expected_query = {"from": "2026-11-01T00:00:00Z", "to": "2026-12-01T00:00:00Z", "portfolio": "Growth"}
    assert exporter.oms.reads()[-1] == ("/exports/trades", expected_query)
    assert exporter.slack.list_requests("upload")[0].body == TRADES
    sent = exporter.slack.list_requests("files.completeUploadExternal")[0]
    assert sent.body["channel_id"] == "D-U1"
    assert sent.body["files"] == [{"id": "F1", "title": "trades-2026-11.csv"}]
    assert sent.body["initial_comment"] == "*Trades* of 2026-11 in Growth: 2 rows."
    assert exporter.oms.person_of_calls() == {"slack:T1:U1"}


def test_export_in_a_direct_message_gets_the_file(exporter: PortfolioWorkspace):
    exporter.write_directly("export trades today")
    sent = exporter.slack.wait_for("files.completeUploadExternal")[0]
    assert sent.body["channel_id"] == "D1"
    exporter.bot.services.stop_workers(wait=True)
    assert exporter.slack.list_requests("chat.postMessage") == []


@pytest.mark.parametrize("table", ["orders", "positions", "pnl", "cash", "charges"])
def test_every_table_is_exported(exporter: PortfolioWorkspace, table):
    exporter.oms.exports[table] = b"a\r\n1\r\n"
    assert "1 row." in exporter.query(f"export {table}")["text"]
    assert exporter.slack.list_requests("files.getUploadURLExternal")[0].body["filename"] == f"{table}.csv"


def test_risk_is_exported_as_of_now_for_any_period(exporter: PortfolioWorkspace):
    exporter.oms.exports["risk"] = b"portfolio_name\r\nGrowth\r\n"
    body = exporter.query("export risk 2026-11 in Growth")
    assert body["text"].startswith("*Use of risk limits* now in Growth: 1 row.")
    assert exporter.oms.reads()[-1] == ("/exports/risk", {"portfolio": "Growth"})
    assert exporter.slack.list_requests("files.getUploadURLExternal")[0].body["filename"] == "risk.csv"


def test_share_stays_private(exporter: PortfolioWorkspace):
    assert exporter.query("export trades share")["response_type"] == "ephemeral"


@pytest.mark.parametrize(
    ("text", "sentence"), [("export", "Name what to export: trades"), ("export orders", "no rows match")]
)
def test_export_without_rows_has_no_file(exporter: PortfolioWorkspace, text, sentence):
    assert sentence in exporter.query(text)["text"]
    assert exporter.slack.list_requests("files.getUploadURLExternal") == []


def test_file_that_is_too_large_is_refused_with_a_remedy(exporter: PortfolioWorkspace, monkeypatch):
    monkeypatch.setattr(exports, "MAX_EXPORT_BYTES", 20)
    assert "is larger than 10 MB" in exporter.query("export trades")["text"]
    assert exporter.slack.list_requests("files.getUploadURLExternal") == []


@pytest.mark.parametrize(
    ("trouble", "sentence"),
    [
        (Response(drop=True), "does not respond"),
        (Response(429, headers={"Retry-After": "7"}), "in 7 seconds"),
        (build_problem(403, "No.", kind="forbidden"), "does not include"),
    ],
)
def test_failing_oms_is_explained(exporter: PortfolioWorkspace, trouble, sentence):
    exporter.oms.queue_responses("GET /exports/trades", trouble)
    assert sentence in exporter.query("export trades")["text"]


@pytest.mark.parametrize(
    ("method", "code", "sentence"),
    [
        ("files.getUploadURLExternal", "missing_scope", "`files:write`"),
        ("files.completeUploadExternal", "ratelimited", "Slack did not accept the file"),
    ],
)
def test_file_that_slack_refuses_is_explained(exporter: PortfolioWorkspace, method, code, sentence):
    exporter.slack.refuse(method, code)
    assert sentence in exporter.query("export trades")["text"]


def test_upload_that_fails_is_explained(exporter: PortfolioWorkspace):
    exporter.slack.queue_responses("upload", Response(500))
    assert "Slack did not accept the file" in exporter.query("export trades")["text"]
    assert exporter.slack.list_requests("files.completeUploadExternal") == []


def test_too_many_exports_at_once_are_refused(exporter: PortfolioWorkspace):
    exporter.bot.services.export_workers.stop()
    assert "busy" in exporter.query("export trades")["text"]
