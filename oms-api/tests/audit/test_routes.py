"""The audit log over REST: permissions, filters, pages, and exports that can be verified."""

from datetime import timedelta

import orjson
import pytest

from app.audit.queries import entries as queries
from app.audit.rules.chain import COLUMNS, GENESIS, Head
from app.audit.rules.export_verification import AUDIT_LOG, ExportChain, ExportVerifier
from app.audit.service import record_entries
from app.audit.service.log_export import ENTRIES_PER_READ, AuditLogExport
from app.clock import utc_now
from app.database import set_tenant_scope, unit_of_work
from app.ledger.rules import chain as ledger
from app.ledger.rules.exports import LEDGER
from app.timestamps import format_timestamp
from tests.audit.entries import build_entry
from tests.factories import NOON
from tests.support.service import ApiClient

PATHS = ("/audit", "/audit/export", "/audit/head", "/trades/export", "/trades/heads")


def record_in_audit_log(api, *entries):
    with unit_of_work(api.service.engine) as connection:
        record_entries(set_tenant_scope(connection, [api.tenant_id]), entries)


@pytest.fixture
def api_with_entries(api):
    """Provide a tenant with five entries in its audit log, a minute apart."""
    acts = [
        build_entry(
            tenant_id=api.tenant_id,
            at=NOON + number * timedelta(minutes=1),
            actor=f"slack:T1:U{number % 2}",
            action="user.changed" if number < 3 else "key.revoked",
            target=f"user {number}",
            request_id=f"r{number}",
        )
        for number in range(5)
    ]
    record_in_audit_log(api, *acts)
    return api


def list_entries(api, **params):
    response = api.get("/audit", **params)
    assert response.status_code == 200, response.text
    return [item["target"] for item in response.json()]


def split_lines(response):
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/x-ndjson"
    return response.content.splitlines(keepends=True)


def assert_proven(lines, heads):
    verifier = ExportVerifier((AUDIT_LOG, LEDGER), heads)
    assert [verifier.verify_line(line) for line in lines] == [None] * len(lines)
    assert (verifier.verify_end(), verifier.uncovered_lines) == (None, 0)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("scopes", "status"),
    [("read", 403), ("trade read", 403), ("approve", 403), ("risk", 200), ("admin", 200)],
)
def test_audit_log_requires_the_risk_or_admin_role(api, path, scopes, status):
    other = ApiClient(api.service, api.tenant_id, api.service.create_key(scopes, api.tenant_id))
    assert other.get(path).status_code == status


@pytest.mark.parametrize("path", PATHS)
def test_audit_log_requires_a_key(service, path):
    assert service.client.get(f"/api/v1{path}").status_code == 401


def test_entries_are_listed_newest_first_with_their_values(api_with_entries):
    newest = api_with_entries.get("/audit").json()[0]
    assert newest.pop("hash") != GENESIS
    assert newest == {
        "sequence": 5,
        "at": "2026-11-20T12:04:00.000000Z",
        "actor": "slack:T1:U0",
        "via": "desk-bot",
        "action": "key.revoked",
        "target": "user 4",
        "address": "192.0.2.7",
        "request_id": "r4",
        "before": {"role": "viewer"},
        "after": {"role": "trader"},
        "count": 1,
    }
    assert list_entries(api_with_entries) == ["user 4", "user 3", "user 2", "user 1", "user 0"]


@pytest.mark.parametrize(
    ("params", "expected_ids"),
    [
        ({"action": "key.revoked"}, ["user 4", "user 3"]),
        ({"actor": "slack:T1:U1"}, ["user 3", "user 1"]),
        ({"target": "user 2"}, ["user 2"]),
        ({"request_id": "r3"}, ["user 3"]),
        ({"actor": "slack:T1:U1", "action": "user.changed"}, ["user 1"]),
        ({"from_": "2026-11-20T12:03:00Z"}, ["user 4", "user 3"]),
        ({"to_": "2026-11-20T13:01:00+01:00"}, ["user 0"]),
        ({"from_": "2026-11-20T12:01:00Z", "to_": "2026-11-20T12:02:00Z"}, ["user 1"]),
        ({"action": "nothing"}, []),
    ],
)
def test_entries_are_filtered_by_their_fields(api_with_entries, params, expected_ids):
    assert list_entries(api_with_entries, **params) == expected_ids


@pytest.mark.parametrize(
    "params",
    [
        {"limit": "0"},
        {"limit": "1001"},
        {"limit": "١"},
        {"skip": "1"},
        {"actor": ""},
        {"actor": "a\0b"},
        {"target": "a\u202eb"},
        {"action": "x" * 401},
        {"from_": "yesterday"},
        {"from_": "2026-11-20T12:00:00"},
        {"cursor": "AAAA"},
    ],
)
def test_invalid_query_is_rejected(api_with_entries, params):
    response = api_with_entries.get("/audit", **params)
    assert (response.status_code, response.json()["status"]) == (422, 422)


def test_pages_are_contiguous_and_keep_the_filter(api_with_entries):
    response = api_with_entries.get("/audit?limit=2&action=user.changed")
    targets = [item["target"] for item in response.json()]
    while "next" in response.links:
        response = api_with_entries.get(response.links["next"]["url"].removeprefix("/api/v1"))
        targets += [item["target"] for item in response.json()]
    assert targets == ["user 2", "user 1", "user 0"]


def test_cursor_is_valid_only_for_its_list_and_tenant(api_with_entries):
    api_with_entries.record_trade()
    api_with_entries.record_trade()
    other = api_with_entries.service.create_client()
    for path, elsewhere in (("/trades", api_with_entries), ("/audit", other)):
        audit_cursor = api_with_entries.get("/audit", limit=1).links["next"]["url"].split("cursor=")[1]
        assert elsewhere.get(path, cursor=audit_cursor).status_code == 422
    trade_cursor = api_with_entries.get("/trades", limit=1).links["next"]["url"].split("cursor=")[1]
    assert api_with_entries.get("/audit", cursor=trade_cursor).status_code == 422


def test_audit_log_of_another_tenant_is_hidden(api_with_entries):
    other = api_with_entries.service.create_client()
    api_with_entries.record_trade()
    assert list_entries(other) == []
    assert [
        split_lines(other.get(path)) for path in ("/audit/export", "/trades/export", "/trades/heads")
    ] == [[]] * 3
    head = other.get("/audit/head").json()
    assert (head["tenant"], head["sequence"], head["hash"]) == (other.tenant_id, 0, GENESIS)


def test_export_is_oldest_first_and_verified_by_its_head(api_with_entries):
    head, export = api_with_entries.get("/audit/head").json(), api_with_entries.get("/audit/export")
    lines = split_lines(export)
    assert [orjson.loads(line)["target"] for line in lines] == [f"user {number}" for number in range(5)]
    assert tuple(orjson.loads(lines[0])) == COLUMNS
    assert orjson.loads(lines[0])["before"] == '{"role":"viewer"}'
    assert 'filename="audit.jsonl"' in export.headers["content-disposition"]
    assert_proven(lines, {ExportChain(head["tenant"]): Head(head["sequence"], head["hash"])})


def test_head_contains_its_request_time(api_with_entries):
    before = format_timestamp(utc_now())
    assert before <= api_with_entries.get("/audit/head").json()["at"] <= format_timestamp(utc_now())


def test_export_larger_than_a_chunk_is_complete(api):
    record_in_audit_log(
        api,
        *(
            build_entry(tenant_id=api.tenant_id, target=f"user {number}")
            for number in range(2 * ENTRIES_PER_READ + 345)
        ),
    )
    lines = split_lines(api.get("/audit/export"))
    head = api.get("/audit/head").json()
    assert len(lines) == 2 * ENTRIES_PER_READ + 345
    assert_proven(lines, {ExportChain(head["tenant"]): Head(head["sequence"], head["hash"])})


def read_heads(api):
    stated = map(orjson.loads, split_lines(api.get("/trades/heads")))
    return {
        ExportChain(item["tenant"], item["portfolio"]): Head(item["sequence"], item["hash"])
        for item in stated
    }


def test_ledger_export_is_by_portfolio_and_verified_by_its_heads(api):
    for number in range(3):
        for name in ("Growth", "Income"):
            api.record_trade(portfolio_name=name, user_id=f"U{number}")
    api.post_reversal(api.record_trade()["trade_id"])
    export = api.get("/trades/export")
    rows = [orjson.loads(line) for line in split_lines(export)]
    places = [(row["portfolio_id"], row["sequence"]) for row in rows]
    assert places == sorted(places)
    assert len(rows) == 8
    assert 'filename="trades.jsonl"' in export.headers["content-disposition"]
    assert len(read_heads(api)) == 2
    assert_proven(split_lines(export), read_heads(api))


def test_ledger_export_larger_than_a_chunk_is_complete(api):
    for name in ("Growth", "Income", "Crypto"):
        trades = [{"symbol": "AAPL", "quantity": "1", "price": "7", "side": "BUY", "portfolio_name": name}]
        assert api.post("/trades:batch", {"trades": trades * 700}).status_code == 200
    lines = split_lines(api.get("/trades/export"))
    assert len(lines) == 2_100
    assert_proven(lines, read_heads(api))


def test_trade_can_be_traced_offline_from_message_to_row(api):
    response = api.post(
        "/trade",
        {"symbol": "AAPL", "quantity": "1", "price": "7", "side": "BUY", "portfolio_name": "Growth"},
        {"Idempotency-Key": "slack-view-1", "X-Request-ID": "the-message-names-me"},
    )
    trade = response.json()["trade"]
    (line,) = split_lines(api.get("/trades/export"))
    row = orjson.loads(line)
    assert tuple(row) == ledger.COLUMNS
    assert row["trade_id"] == trade["trade_id"]
    assert (row["request_id"], row["idempotency_key"]) == ("the-message-names-me", "slack-view-1")
    assert row["hash"] == trade["hash"]


def test_entries_recorded_during_an_export_are_not_in_it(api):
    record_in_audit_log(api, *(build_entry(tenant_id=api.tenant_id) for _ in range(5)))
    with api.service.engine.connect() as connection:
        set_tenant_scope(connection, [api.tenant_id])
        export = AuditLogExport(api.tenant_id, queries.get_head(connection, api.tenant_id), chunk=2)
        pieces = [export.read(connection)]
    record_in_audit_log(api, build_entry(tenant_id=api.tenant_id))
    with api.service.engine.connect() as connection:
        set_tenant_scope(connection, [api.tenant_id])
        while pieces[-1]:
            pieces.append(export.read(connection))
    assert [piece.count(b"\n") for piece in pieces] == [2, 2, 1, 0]


def test_denial_is_audited(api):
    reader = ApiClient(api.service, api.tenant_id, api.service.create_key("read", api.tenant_id))
    response = reader.get("/audit/export", {"X-Request-ID": "the-first-denial"})
    for _ in range(20):
        assert reader.get("/audit/export").status_code == 403
    api.service.app.state.authentication.audit_writer.flush()
    (entry_told,) = api.get("/audit", request_id="the-first-denial").json()
    assert response.status_code == 403
    assert (entry_told["action"], entry_told["target"]) == ("denied", "read_audit")
    assert entry_told["actor"].startswith("key:")
