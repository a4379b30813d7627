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


@pytest.mark.parametrize("path", ["/health", "/health/live", "/api/v1/health", "/api/v1/health/live"])
def test_the_service_says_who_it_is(service, path):
    answer = service.client.get(path)
    body = answer.json()
    assert answer.status_code == 200
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", body.pop("timestamp"))
    assert body == {"status": "healthy", "service": "oms-api", "version": __version__}


@pytest.mark.parametrize("prefix", ["", "/api/v1"])
def test_it_is_ready_when_all_is_there(service, prefix, backend):
    answer = service.client.get(f"{prefix}/health/ready")
    assert answer.status_code == 200
    row_security = "enforced" if backend == "postgresql" else "none"
    checks = {"database": "ok", "migrations": "ok", "writer": "ok"}
    assert answer.json().items() >= ({"status": "ready", "row_level_security": row_security} | checks).items()


@pytest.mark.parametrize(("per_minute", "told"), [(0, "off"), (1, "per process")])
def test_it_says_how_limits_are_counted_and_is_ready_all_the_same(serve, per_minute, told):
    with serve(rate_limit_per_minute=per_minute) as service:
        answer = service.client.get("/health/ready")
        assert (answer.status_code, answer.json()["rate_limits"]) == (200, told)


def test_it_is_not_ready_without_its_migrations(serve):
    with serve() as service:
        with unit_of_work(service.engine) as connection:
            connection.execute(text("DELETE FROM alembic_version"))
        answer = service.client.get("/health/ready")
        assert answer.status_code == 503
        assert answer.json()["migrations"] == "failed"
        assert "app.migrate" in answer.json()["detail"]


def test_it_is_not_ready_without_its_writer(serve):
    with serve() as service:
        service.app.state.desk.writer.close()
        answer = service.client.get("/health/ready")
        assert (answer.status_code, answer.json()["writer"]) == (503, "failed")
        refused = service.api().report()
        assert (refused.status_code, refused.json()["type"]) == (503, "urn:slackoms:problem/not-placed")
        assert service.client.get("/health/live").status_code == 200


def test_it_is_not_ready_without_its_database(serve, databases, backend):
    if backend == "sqlite":
        return  # its database is a file that this process holds open
    with serve() as service:
        name = service.engine.url.database
        api = service.api()
        databases.run(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        databases.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")  # noqa: S608  # ours
        answer = service.client.get("/health/ready")
        assert (answer.status_code, answer.json()["database"]) == (503, "failed")
        for refused in (api.report(), api.get("/trades")):
            assert refused.status_code == 503
            assert refused.headers["retry-after"]
        databases.run(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        assert service.client.get("/health/ready").status_code == 200
        assert api.report().status_code == 201


def test_it_says_that_its_file_was_moved_or_replaced(serve, backend):
    if backend == "postgresql":
        return  # its files are the server's
    with serve() as service:
        file = Path(service.engine.url.database)
        kept = file.rename(file.with_name("elsewhere.db"))
        answer = service.client.get("/health/ready").json()
        assert (answer["status"], answer["database"]) == ("not ready", "failed")
        assert answer["detail"].startswith("The database file was moved or deleted.")
        file.touch()
        assert "replaced by another one" in service.client.get("/health/ready").json()["detail"]
        kept.rename(file)
        answer = service.client.get("/health/ready").json()
        assert (answer["status"], answer["detail"]) == ("ready", None)


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ({"access": lambda *_: False}, "read-only"),
        ({"statvfs": lambda _: SimpleNamespace(f_bavail=1, f_frsize=1)}, "full"),
    ],
)
def test_a_problem_of_the_database_file_is_a_sentence(monkeypatch, tmp_path, found, told):
    file = tmp_path / "oms.db"
    file.touch()
    watched = DatabaseFile(str(file))
    assert watched.find_problem() is None
    for name, answer in found.items():
        monkeypatch.setattr(os, name, answer)
    assert told in str(watched.find_problem())
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
        api = service.api("trade")
        api.trade()
        api.get("/trades/T1")
        exposition = service.client.get("/metrics", headers={"X-API-Key": service.mint("read")})
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
