"""Administrative requests with an idempotency key are executed once, despite lost answers and races."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from app.identity.service import change_executor
from tests.identity.administration import (
    PASSWORD,
    assert_error,
    assert_ok,
    connect_operator,
    create_key,
    create_user,
    list_audit_entries,
)
from tests.support.service import ApiClient, run_service

ALICE = {"email": "alice@example.com", "name": "Alice", "password": PASSWORD, "role": "trader"}


def build_key_header(name):
    return {"Idempotency-Key": name}


def test_same_key_and_body_return_the_same_answer(api):
    first = api.post("/users", ALICE, build_key_header("k1"))
    again = api.post("/users", ALICE, build_key_header("k1"))
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert [item["action"] for item in list_audit_entries(api)] == ["user.created"]


def test_equivalent_body_is_a_repeat(api):
    first = api.post("/users", ALICE, build_key_header("k1"))
    other = json.dumps(dict(reversed(ALICE.items())) | {"email": " ALICE@example.com"}, indent=3).encode()
    assert api.post("/users", other, build_key_header("k1")).json() == first.json()


@pytest.mark.parametrize(
    "change", [{"name": "Bob"}, {"password": "another lantern orbit"}, {"person": "slack:T1:U1"}]
)
def test_other_body_under_the_same_key_conflicts(api, change):
    assert_ok(api.post("/users", ALICE, build_key_header("k1")), 201)
    assert (
        assert_error(api.post("/users", ALICE | change, build_key_header("k1")), 409)
        == "idempotency-key-reused"
    )
    assert len(assert_ok(api.get("/users"))) == 1


def test_other_target_under_the_same_key_conflicts(api):
    ids = [create_user(api, email=f"{name}@example.com")["id"] for name in "ab"]
    assert_ok(api.patch(f"/users/{ids[0]}", {"role": "risk"}, build_key_header("k1")))
    response = api.patch(f"/users/{ids[1]}", {"role": "risk"}, build_key_header("k1"))
    assert assert_error(response, 409) == "idempotency-key-reused"


def test_idempotency_key_is_scoped_to_route_and_tenant(service):
    first, second = service.create_client(), service.create_client()
    for api in (first, second):
        body = assert_ok(api.post("/users", ALICE, build_key_header("k1")), 201)
        assert_ok(api.patch(f"/users/{body['id']}", {"role": "risk"}, build_key_header("k1")))
        assert_ok(api.post("/portfolios", {"name": "Growth"}, build_key_header("k1")), 201)


def test_repeat_returns_the_original_answer_not_the_current_state(api):
    first = assert_ok(api.post("/users", ALICE, build_key_header("k1")), 201)
    assert_ok(api.patch(f"/users/{first['id']}", {"role": "risk"}))
    assert assert_ok(api.post("/users", ALICE, build_key_header("k1")), 201) == first
    assert assert_ok(api.get(f"/users/{first['id']}"))["role"] == "risk"


def test_rejected_request_binds_no_key(api):
    assert api.post("/users", ALICE | {"role": "king"}, build_key_header("k1")).status_code == 422
    create_user(api, email="bob@example.com")
    assert api.post("/users", ALICE | {"email": "bob@example.com"}, build_key_header("k1")).status_code == 409
    assert_ok(api.post("/users", ALICE, build_key_header("k1")), 201)


def test_repeat_does_not_return_the_secret_again(fresh_service):
    ask: dict[str, tuple[ApiClient, dict[str, object]]] = {
        "/tenants": (connect_operator(fresh_service), {"name": "A", "slug": "alpha"}),
        "/api-keys": (fresh_service.create_client(), {"name": "bot", "scopes": ["read"]}),
    }
    for path, (api, body) in ask.items():
        created = assert_ok(api.post(path, body, build_key_header("k1")), 201)
        secret = created.get("key") or created["api_key"]
        again = api.post(path, body, build_key_header("k1"))
        assert assert_error(again, 409) == "secret-shown-once"
        assert secret not in again.text
        assert (
            assert_error(api.post(path, body | {"name": "other"}, build_key_header("k1")), 409)
            == "idempotency-key-reused"
        )
        with fresh_service.open_connection() as connection:
            assert secret[17:] not in str(connection.execute(text("SELECT * FROM admin_requests")).all())


def test_repeated_rotation_is_applied_once(api):
    body = create_key(api)
    path = f"/api-keys/{body['key_id']}:rotate"
    assert_ok(api.post(path, {}, build_key_header("k1")), 201)
    assert assert_error(api.post(path, {}, build_key_header("k1")), 409) == "secret-shown-once"
    assert len(assert_ok(api.get("/api-keys"))) == 3


@pytest.mark.parametrize("name", ["", "x" * 201, "é".encode()])
def test_invalid_idempotency_key_is_rejected(api, name):
    assert api.post("/users", ALICE, build_key_header(name)).status_code == 422


def test_stored_request_hash_does_not_reveal_the_password(fresh_service):
    api = fresh_service.create_client()
    assert_ok(api.post("/users", ALICE, build_key_header("k1")), 201)
    with fresh_service.open_connection() as connection:
        bound = connection.execute(text("SELECT request_hash, answer FROM admin_requests")).one()
    guess = json.dumps(ALICE).encode()
    request = change_executor.ChangeRequest(None, "POST /users", "", guess)  # type: ignore[arg-type]  # who asks does not count
    assert bound.request_hash != change_executor._compute_fingerprint(b"", request)
    assert PASSWORD not in str(bound)


def test_repeats_are_recognized_after_a_master_key_rotation(database_url):
    before, after = "before-" + "b" * 32, "after-" + "a" * 32
    with run_service(database_url, oms_api_key=before) as service:
        first = ApiClient(service, 1, before).post("/users", ALICE, build_key_header("k1"))
    with run_service(database_url, oms_api_key=after, oms_api_key_previous=before) as service:
        again = ApiClient(service, 1, after).post("/users", ALICE, build_key_header("k1"))
    assert (first.status_code, again.json()) == (201, first.json())


def test_concurrent_requests_with_one_key_run_once_with_one_answer(fresh_service):
    api = fresh_service.create_client()
    with ThreadPoolExecutor(8) as pool:
        responses = list(pool.map(lambda _: api.post("/users", ALICE, build_key_header("k1")), range(8)))
    assert {response.status_code for response in responses} == {201}
    assert len({answer.text for answer in responses}) == 1
    assert sum("Idempotent-Replayed" in answer.headers for answer in responses) == 7
    assert len(list_audit_entries(api)) == 1


def test_concurrent_requests_without_a_key_get_one_success_and_conflicts(fresh_service):
    api = fresh_service.create_client()
    with ThreadPoolExecutor(8) as pool:
        responses = list(pool.map(lambda _: api.post("/users", ALICE), range(8)))
    assert sorted(response.status_code for response in responses) == [201] + [409] * 7


class LosesAnswers:
    """Transactions whose first COMMIT, or first statement, has an unknown outcome."""

    def __init__(self, inner, *, commits):
        self.inner, self.commits, self.lost = inner, commits, False

    async def run(self, work):
        def lose(connection):
            response = work(connection)
            if not self.commits and not self.lost:
                self.lost = True
                raise OperationalError("COMMIT", None, Exception("gone"), connection_invalidated=True)
            return response

        response = await self.inner.run(lose)
        if self.commits and not self.lost:
            self.lost = True
            return await self.inner.run(work)  # as Transactions does where the connection is lost
        return response


@pytest.fixture
def losing_service(fresh_service, monkeypatch):
    def lose(*, commits):
        change_executor = fresh_service.app.state.change_executor
        monkeypatch.setattr(
            change_executor, "_transactions", LosesAnswers(change_executor._transactions, commits=commits)
        )
        return fresh_service.create_client()

    return lose


@pytest.mark.parametrize("commits", [True, False])
def test_lost_commit_is_resolved_by_its_key_and_returns_the_secret(losing_service, commits):
    api = losing_service(commits=commits)
    body = assert_ok(api.post("/api-keys", {"name": "bot", "scopes": ["read"]}, build_key_header("k1")), 201)
    assert api.with_key(body["key"]).get("/portfolios").status_code == 200
    assert [item["action"] for item in list_audit_entries(api)] == ["key.created"]


def test_lost_commit_without_a_key_reports_an_unknown_outcome(losing_service):
    api = losing_service(commits=True)
    response = api.post("/api-keys", {"name": "bot", "scopes": ["read"]})
    assert assert_error(response, 503) == "outcome-unknown"
    assert len(assert_ok(api.get("/api-keys"))) == 2


def test_operation_is_rolled_back_when_the_audit_entry_fails(fresh_service, monkeypatch):
    api = fresh_service.create_client()

    def fail(connection, entries):
        raise OperationalError("INSERT", None, Exception("disk full"))

    monkeypatch.setattr(change_executor, "record_entries", fail)
    assert api.post("/users", ALICE, build_key_header("k1")).status_code == 503
    monkeypatch.undo()
    assert assert_ok(api.get("/users")) == []
    assert_ok(api.post("/users", ALICE, build_key_header("k1")), 201)


@pytest.mark.parametrize(("looks", "says"), [([False, True], "already"), ([False, False], "same moment")])
def test_unique_constraint_conflict_is_explained_by_a_second_lookup(api, monkeypatch, looks, says):
    create_user(api)
    responses = iter(looks)
    monkeypatch.setattr("app.identity.queries.users.is_known", lambda *_, **__: next(responses))
    response = api.post("/users", ALICE)
    assert assert_error(response, 409) == "conflict"
    assert says in response.json()["detail"]
    assert len(assert_ok(api.get("/users"))) == 1
