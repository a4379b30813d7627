"""Health needs no key; readiness reports the database, its tables and the writer; metrics are counted."""

import os
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from app import __version__
from app.database import unit_of_work
from app.database.files import DatabaseFile
from app.health.rules import (
    ComponentHealth,
    describe_alerts,
    describe_brokers,
    describe_chains,
    describe_connection,
    describe_feed,
    describe_jobs,
    describe_redis,
    describe_sandbox,
    describe_webhooks,
    summarize_components,
)
from app.jobs.rules.schedule import JobReport, JobState
from app.sandbox.rules.layers import Layer
from tests.factories import BOOTSTRAP_KEY, NOON
from tests.support.service import ApiClient


@pytest.mark.parametrize("path", ["/health", "/health/live", "/api/v1/health", "/api/v1/health/live"])
def test_health_names_the_service(service, path):
    response = service.client.get(path)
    body = response.json()
    assert response.status_code == 200
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", body.pop("timestamp"))
    assert body == {"status": "healthy", "service": "oms-api", "version": __version__}


@pytest.mark.parametrize("prefix", ["", "/api/v1"])
def test_service_is_ready_with_all_components(service, prefix, backend):
    response = service.client.get(f"{prefix}/health/ready")
    assert response.status_code == 200
    row_security = "enforced" if backend == "postgresql" else "none"
    checks = {"database": "ok", "migrations": "ok", "writer": "ok"}
    assert (
        response.json().items() >= ({"status": "ready", "row_level_security": row_security} | checks).items()
    )


@pytest.mark.parametrize(("per_minute", "limit_state"), [(0, "off"), (1, "per process")])
def test_readiness_shows_how_rate_limits_are_counted(serve, per_minute, limit_state):
    with serve(rate_limit_per_minute=per_minute) as service:
        response = service.client.get("/health/ready")
        assert (response.status_code, response.json()["rate_limits"]) == (200, limit_state)


def test_service_is_not_ready_without_its_migrations(serve):
    with serve() as service:
        with unit_of_work(service.engine) as connection:
            connection.execute(text("DELETE FROM alembic_version"))
        response = service.client.get("/health/ready")
        assert response.status_code == 503
        assert response.json()["migrations"] == "failed"
        assert "app.migrate" in response.json()["detail"]


def test_service_is_not_ready_without_its_writer(serve):
    with serve() as service:
        service.app.state.trade_service.writer.close()
        response = service.client.get("/health/ready")
        assert (response.status_code, response.json()["writer"]) == (503, "failed")
        refused = service.create_client().post_trade()
        assert (refused.status_code, refused.json()["type"]) == (503, "urn:slackoms:problem/not-placed")
        assert service.client.get("/health/live").status_code == 200


def test_service_is_not_ready_without_its_database(serve, databases, backend):
    if backend == "sqlite":
        return  # its database is a file that this process holds open
    with serve() as service:
        name = service.engine.url.database
        api = service.create_client()
        databases.run(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        databases.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")  # noqa: S608  # ours
        response = service.client.get("/health/ready")
        assert (response.status_code, response.json()["database"]) == (503, "failed")
        for refused in (api.post_trade(), api.get("/trades")):
            assert refused.status_code == 503
            assert refused.headers["retry-after"]
        databases.run(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        assert service.client.get("/health/ready").status_code == 200
        assert api.post_trade().status_code == 201


def test_moved_or_replaced_database_file_is_reported(serve, backend):
    if backend == "postgresql":
        return  # its files are the server's
    with serve() as service:
        file = Path(service.engine.url.database)
        moved_file = file.rename(file.with_name("elsewhere.db"))
        body = service.client.get("/health/ready").json()
        assert (body["status"], body["database"]) == ("not ready", "failed")
        # a job that connects meanwhile makes a new file
        assert body["detail"].startswith("The database file was ")
        file.touch()
        assert "replaced by another one" in service.client.get("/health/ready").json()["detail"]
        moved_file.rename(file)
        body = service.client.get("/health/ready").json()
        assert (body["status"], body["detail"]) == ("ready", None)


@pytest.mark.parametrize(
    ("file_content", "message"),
    [
        ({"access": lambda *_: False}, "read-only"),
        ({"statvfs": lambda _: SimpleNamespace(f_bavail=1, f_frsize=1)}, "full"),
    ],
)
def test_database_file_problem_is_reported_in_a_sentence(monkeypatch, tmp_path, file_content, message):
    file = tmp_path / "oms.db"
    file.touch()
    watched = DatabaseFile(str(file))
    assert watched.find_problem() is None
    for name, response in file_content.items():
        monkeypatch.setattr(os, name, response)
    assert message in str(watched.find_problem())
    assert str(tmp_path) not in str(watched.find_problem())
    monkeypatch.undo()
    file.rename(tmp_path / "kept")
    assert "moved or deleted" in str(watched.find_problem())
    file.mkdir()
    assert "replaced" in str(watched.find_problem())
    file.rmdir()
    file.touch()
    assert "cannot be reached" in str(DatabaseFile(str(file / "oms.db")).find_problem())
    assert DatabaseFile(None).find_problem() is None


def test_metrics_count_requests_batches_and_the_queue(serve):
    with serve() as service:
        api = service.create_client("trade")
        api.record_trade()
        api.get("/trades/T1")
        exposition = service.client.get("/metrics", headers={"X-API-Key": service.create_key("read")})
        assert exposition.headers["content-type"].startswith("text/plain; version=0.0.4")
        samples = {
            (sample.name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(exposition.text)
            for sample in family.samples
        }
        assert samples["oms_http_requests_total", "POST", "/api/v1/trade", "201"] == 1
        assert samples["oms_write_batch_size_sum",] == 1
        assert samples["oms_commit_seconds_count",] == 1
        assert samples["oms_write_queue_depth",] == 0
        assert "T1" not in {part for name in samples for part in name}
        assert ("oms_http_request_seconds_count", "POST", "/api/v1/trade") in samples


@pytest.mark.any_database
def test_metrics_count_orders_fills_denials_and_signals(serve):
    with serve() as service:
        api = service.create_client().open_portfolio()
        api.set_quote("AAPL", "99", "101", "100")
        api.place_order()
        limit = {"scope": "portfolio", "name": "Growth", "code": "MAX_ORDER_QUANTITY", "value": "5"}
        api.put("/limits", limit)
        api.post("/signals", {"symbol": "AAPL", "side": "buy", "qty": "10", "portfolio": "Growth"})
        trade = api.record_trade("once", symbol="MSFT")
        api.record_trade("once", symbol="MSFT")
        assert api.post_reversal(trade["trade_id"]).status_code == 201
        exposition = service.client.get("/metrics", headers={"X-API-Key": service.create_key("read")}).text
    for line in (
        'oms_orders_total{status="FILLED",type="MARKET"} 1.0',
        'oms_orders_total{status="DENIED",type="MARKET"} 1.0',
        'oms_order_denials_total{code="MAX_ORDER_QUANTITY"} 1.0',
        "oms_fills_total 1.0",
        'oms_signals_total{channel="rest",status="rejected"} 1.0',
        "oms_signal_seconds_count 1.0",
        'oms_pending{kind="signals"} 0.0',
        'oms_reported_trades_total{kind="trade"} 1.0',
        'oms_reported_trades_total{kind="reversal"} 1.0',
    ):
        assert line in exposition


@pytest.mark.any_database
def test_metrics_show_the_process_and_only_portfolios_that_are_named(serve):
    with serve(metrics_portfolios="default/growth, default/Missing, other/Growth") as service:
        api = ApiClient(service, 1, BOOTSTRAP_KEY)
        api.open_portfolio()
        api.open_portfolio("Macro")
        api.set_quote("AAPL", "99", "101", "100")
        api.buy("10", "90", charges="0")
        exposition = service.client.get("/metrics", headers={"X-API-Key": service.create_key("read")}).text
    labels = 'portfolio="Growth",tenant="default"'
    assert f'oms_portfolio_pnl{{currency="USD",kind="total",{labels}}} 100.0' in exposition
    assert f'oms_portfolio_equity{{currency="USD",{labels}}} 1.0001e+06' in exposition
    assert "Macro" not in exposition
    assert "process_resident_memory_bytes" in exposition
    assert "process_open_fds" in exposition


@pytest.mark.any_database
@pytest.mark.parametrize("path", ["/api/v1/health/detailed", "/api/health/detailed", "/health/detailed"])
def test_every_component_is_reported(service, path):
    response = service.client.get(path, headers={"X-API-Key": service.create_key("read")})
    body = response.json()
    assert (response.status_code, body["execution_engine_status"]) == (200, "running")
    assert list(body["components"]) == [
        *("database", "writer", "market_data", "duties", "worker", "redis", "webhooks", "alerts"),
        *("brokers", "chains", "sandbox"),
    ]
    assert "isolated interpreter" in body["components"]["sandbox"]["layers"]
    assert body["components"]["database"] == {"status": "ok", "age_seconds": None, "last_error": None}
    assert body["components"]["redis"]["status"] == "off"
    assert service.client.get(path).status_code == 401


@pytest.mark.any_database
def test_jobs_without_a_worker_are_reported(serve):
    with serve() as service:
        headers = {"X-API-Key": service.create_key("read")}

        def statuses():
            body = service.client.get("/api/v1/health/detailed", headers=headers).json()
            return (
                body["status"],
                body["components"]["duties"]["status"],
                body["components"]["worker"]["status"],
            )

        assert statuses() == ("degraded", "degraded", "degraded")
        assert service.app.state.job_runner.run_due()
        assert statuses() == ("ok", "ok", "ok")
        exposition = service.client.get("/metrics", headers=headers).text
        assert 'oms_duty_lag_seconds{duty="day closes"} 0.0' in exposition
        assert 'oms_duty_failed{duty="day closes"} 0.0' in exposition
        assert 'oms_component_degraded{component="writer"} 0.0' in exposition
        service.app.state.trade_service.writer.close()
        body = service.client.get("/api/v1/health/detailed", headers=headers).json()
        assert (body["status"], body["execution_engine_status"]) == ("down", "stopped")
        assert body["components"]["writer"]["last_error"] == "The writer has stopped. Restart the service."
        exposition = service.client.get("/metrics", headers=headers).text
        assert 'oms_component_degraded{component="writer"} 1.0' in exposition


@pytest.mark.any_database
def test_webhooks_without_a_process_that_delivers_are_reported_with_their_backlog(serve):
    with serve() as service:
        api = service.create_client()
        read = api.with_key(service.create_key("read", api.tenant_id))

        def component():
            return read.get("/health/detailed").json()["components"]["webhooks"]

        assert component() == {"status": "off", "age_seconds": None, "last_error": None, "backlog": 0}
        hook = {"url": "https://hooks.example.com/oms", "event_types": ["*"]}
        webhook = api.post("/webhooks", hook).json()
        assert api.post(f"/webhooks/{webhook['id']}:test").status_code == 202
        body = component()
        assert (body["status"], body["backlog"]) == ("degraded", 1)
        assert (body["last_error"], body["age_seconds"] >= 0) == (
            "No process delivers. Start the service, or a worker.",
            True,
        )
        assert read.get("/health/detailed").json()["components"]["alerts"]["backlog"] == 0


def test_state_of_webhooks_and_alerts_depends_on_waiting_items():
    assert describe_webhooks(0, 0, 0.0, None, has_process=False).status == "off"
    failing = describe_webhooks(3, 5, 61.0, "No response within 10 s.", has_process=True)
    assert failing == ("ok", 61.0, "No response within 10 s.", 5)
    late = JobReport(JobState("portfolio alerts", None, None, NOON, NOON, 5, None), 61.0)
    failed = JobReport(JobState("portfolio alerts", None, None, NOON, NOON, 5, "no price"), 0.0)
    assert describe_alerts(1.0, None, 0, None) == ("ok", 1.0, None, 0)
    assert describe_alerts(1.0, None, 2, late) == ("degraded", 61.0, None, 2)
    assert describe_alerts(1.0, None, 0, failed) == ("degraded", 1.0, "no price", 0)
    assert describe_alerts(None, None, 0, None).status == "degraded"
    assert describe_alerts(1.0, "the database does not answer", 0, None).status == "degraded"


def test_service_state_is_derived_from_its_components():
    late = JobReport(JobState("closes", None, None, NOON, NOON, 5, None), 61.0)
    failed = JobReport(JobState("closes", None, None, NOON, None, 5, "no price"), 1.0)
    assert describe_jobs([])[:3] == ("ok", 0.0, None)
    assert describe_jobs([late])[:3] == ("degraded", 61.0, None)
    assert describe_jobs([failed])[:3] == ("degraded", 1.0, "closes: no price")
    assert [describe_feed(silence, 30).status for silence in (None, 30.0, 31.0)] == ["ok", "ok", "degraded"]
    assert describe_redis("off", is_used=False).status == "off"
    away = describe_redis("off", "TimeoutError", 2.5, is_used=True)
    assert away == ComponentHealth("degraded", 2.5, "No signals arrive over Redis: TimeoutError.")
    assert describe_redis("per process", is_used=True).status == "degraded"
    assert describe_redis("shared", is_used=True).status == "ok"
    vital = {"database": ComponentHealth("ok"), "writer": ComponentHealth("ok")}
    assert summarize_components(vital) == "ok"
    assert summarize_components(vital | {"duties": ComponentHealth("degraded")}) == "degraded"
    assert summarize_components(vital | {"database": ComponentHealth("down")}) == "down"


def test_the_sandbox_is_off_where_layers_are_missing():
    enough = [Layer.SECCOMP, Layer.LANDLOCK, Layer.RESOURCE_LIMITS]
    assert describe_sandbox(enough, is_on=True) == ComponentHealth("ok")
    assert describe_sandbox(enough, is_on=False).status == "off"
    component = describe_sandbox([Layer.SECCOMP, Layer.RESOURCE_LIMITS], is_on=True)
    assert component.status == "off"
    assert component.last_error == "Untrusted strategies are refused without Landlock or bubblewrap."


def test_chains_are_degraded_while_one_is_broken_or_their_verification_is_late():
    good = JobReport(JobState("verify chains", None, None, NOON, NOON, 5, None), 0.0)
    failed = JobReport(good.state._replace(error="no database"), 0.0)
    assert describe_chains(good, 5.0, 0)[:3] == ("ok", 5.0, None)
    assert describe_chains(good._replace(lag_seconds=61.0), 90_061.0, 0)[:3] == ("degraded", 90_061.0, None)
    assert describe_chains(failed, 5.0, 0)[:3] == ("degraded", 5.0, "no database")
    broken = describe_chains(failed, 5.0, 2)
    assert broken[:3] == ("degraded", 5.0, "Hash chains that are broken: 2. Run `python -m app.verify`.")
    for never in (describe_chains(None, None, 0), describe_chains(good, None, 0)):
        assert never[:3] == ("degraded", None, "The hash chains were never verified.")


@pytest.mark.parametrize(
    ("status", "expected"),
    [("connected", "ok"), ("down", "down"), ("refused", "down"), ("new", "off"), ("awaiting_live", "off")],
)
def test_component_of_a_connection_has_its_status(status, expected):
    assert describe_connection(status, 0.5, "Why")[:3] == (expected, 0.5, "Why")


@pytest.mark.any_database
def test_connections_of_the_tenant_are_components_by_name(api, service):
    def find_connections(key):
        components = service.client.get("/health/detailed", headers={"X-API-Key": key}).json()["components"]
        return {name: component for name, component in components.items() if ":" in name}

    credentials = {"key_id": "PK1", "secret_key": "secret"}
    created = api.post("/broker-connections", {"name": "one", "broker": "alpaca", "credentials": credentials})
    assert created.status_code == 201
    off = {"status": "off", "age_seconds": None, "last_error": None}
    assert find_connections(api.key) == {"broker:one": off}
    assert find_connections(service.create_key("read")) == {}  # of another tenant


def test_brokers_are_degraded_while_one_does_not_work():
    assert describe_brokers([]).status == "off"
    assert describe_brokers(["awaiting_live"]).status == "off"
    assert describe_brokers(["connected", "new"]).status == "ok"
    failing = describe_brokers(["connected", "down", "refused", "awaiting_live"])
    assert (failing.status, failing.last_error) == ("degraded", "2 of 3 broker connections do not work.")
    stopped = describe_brokers(["down"], open_circuits=1)
    assert stopped.last_error == (
        "1 of 1 broker connections do not work. Circuit breakers that are not closed: 1."
    )
