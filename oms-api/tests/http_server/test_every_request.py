"""Behavior of every request: keys, scopes, rates, sizes, ids, headers and the format of errors."""

import gzip
import json
import random
import re

import pytest

from app.identity.queries import credentials
from app.identity.rules.keys import make_key
from tests.factories import BOOTSTRAP_KEY, build_trade_body

pytestmark = pytest.mark.any_database

READS = ["/trades", "/trades/T1", "/portfolio/x", "/portfolios"]
WRITES = {
    "/trade": build_trade_body(),
    "/trades:batch": {"trades": [build_trade_body()]},
    "/trades/T1:reverse": {"reason": "x"},
}
SENT = json.dumps(build_trade_body()).encode()


def send_request(service, method, path, key=None, **more):
    headers = (
        {"Content-Type": "application/json"}
        | ({"X-API-Key": key} if key is not None else {})
        | more.pop("headers", {})
    )
    return service.client.request(method, path, headers=headers, **more)


def get_problem(response):
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert set(body) == {"type", "title", "status", "detail", "instance", "errors", "request_id"}
    assert body["status"] == response.status_code
    assert body["request_id"] == response.headers["x-request-id"]
    return body


GOOD_FORM = "oms_000000000000_00000000000000000000000000000000000"


@pytest.mark.parametrize(
    "key", [None, "", "x", BOOTSTRAP_KEY + "x", BOOTSTRAP_KEY[:-1], "é" * 40, GOOD_FORM + "aaaaaa", " "]
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("GET", f"/api/v1{path}") for path in READS),
        *(("POST", f"/api/v1{path}") for path in WRITES),
        ("GET", "/metrics"),
    ],
)
def test_request_without_a_valid_key_is_rejected(service, method, path, key):
    headers = {} if key is None else {"X-API-Key": key.encode()}
    response = service.client.request(
        method, path, headers=headers, content=b"not even JSON" if method == "POST" else None
    )
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("ApiKey")
    assert get_problem(response)["type"] == "urn:slackoms:problem/unauthenticated"


@pytest.mark.parametrize("path", WRITES)
def test_read_only_key_cannot_write(service, path):
    api = service.create_client("read")
    response = api.post(path, WRITES[path])
    assert response.status_code == 403
    assert "'trade'" in get_problem(response)["detail"]


@pytest.mark.parametrize("scopes", ["read", "trade", "admin"])
@pytest.mark.parametrize("path", READS)
def test_every_scope_can_read(service, path, scopes):
    assert service.create_client(scopes).get(path).status_code in {200, 404}


@pytest.mark.parametrize("scopes", ["trade", "admin", "read trade"])
@pytest.mark.parametrize("path", WRITES)
def test_trading_scopes_can_write(service, path, scopes):
    assert service.create_client(scopes).post(path, WRITES[path]).status_code in {201, 200, 404}


def test_bootstrap_key_trades_for_the_first_tenant(service):
    response = send_request(service, "POST", "/api/v1/trade", BOOTSTRAP_KEY, content=SENT)
    assert (response.status_code, response.json()["trade"]["source"]) == (201, "bootstrap")


@pytest.mark.parametrize(
    "path",
    ["/api", "/api/v1", "/api/v2/trades", "/api/v1/trade/", "/api/v1/nothing", "/trades", "/%00", "/\u202e"],
)
def test_unknown_path_is_not_found(api, path):
    response = send_request(api.service, "GET", path, api.key)
    assert response.status_code == 404
    assert get_problem(response)["detail"] == "There is no resource at this address; check the path."


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "trades"),
        ("PUT", "trade"),
        ("PATCH", "trades/T1"),
        ("PUT", "portfolios"),
        ("TRACE", "trades"),
    ],
)
def test_other_methods_are_not_allowed(api, method, path):
    response = send_request(api.service, method, f"/api/v1/{path}", api.key)
    assert response.status_code == 405
    assert response.headers["allow"]
    get_problem(response)


@pytest.mark.parametrize("method", ["FOO", "CONNECT", "PROPFIND"])
def test_unknown_methods_are_not_metric_labels(api, method):
    response = send_request(api.service, method, "/api/v1/trades", api.key)
    assert response.status_code in {400, 405}
    metrics = send_request(api.service, "GET", "/metrics", BOOTSTRAP_KEY).text
    assert f'method="{method}"' not in metrics


@pytest.mark.parametrize("path", WRITES)
def test_body_over_one_megabyte_is_rejected(api, path):
    response = api.post(path, b" " * 1_000_001)
    assert response.status_code == 413
    get_problem(response)


@pytest.mark.parametrize("path", WRITES)
def test_oversized_chunked_body_is_rejected(api, path):
    sent = []

    def chunks():
        for _ in range(60):
            sent.append(1)
            yield b" " * 1_000_000

    headers = {"X-API-Key": api.key, "Content-Type": "application/json"}
    response = api.service.client.post(f"/api/v1{path}", content=chunks(), headers=headers)
    assert response.status_code == 413


def test_body_of_exactly_the_limit_is_accepted(api):
    assert api.post("/trade", SENT + b" " * (1_000_000 - len(SENT))).status_code == 201


def test_chunked_body_is_read_completely(api):
    headers = {"X-API-Key": api.key, "Content-Type": "application/json"}
    response = api.service.client.post(
        "/api/v1/trade", content=iter([SENT[:10], b"", SENT[10:]]), headers=headers
    )
    assert response.status_code == 201


@pytest.mark.parametrize("name", [b"X-API-Key", b"Idempotency-Key", b"Content-Type", b"X-Request-ID"])
def test_repeated_security_header_is_rejected(api, name):
    headers = {
        b"X-API-Key": api.key.encode(),
        b"Content-Type": b"application/json",
        b"Idempotency-Key": b"K",
    }
    sent = [*headers.items(), (name, headers.get(name, b"a")), (b"X-Request-ID", b"b")]
    response = api.service.client.post("/api/v1/trade", content=SENT, headers=sent)
    assert (response.status_code, get_problem(response)["type"]) == (422, "urn:slackoms:problem/malformed")
    assert api.list_trades() == []


@pytest.mark.parametrize("query", ["limit=1&limit=2", "symbol=A&limit=1&symbol=B", "limit=&limit="])
def test_repeated_query_parameter_is_rejected(api, query):
    response = api.get(f"/trades?{query}")
    assert (response.status_code, get_problem(response)["type"]) == (422, "urn:slackoms:problem/malformed")


@pytest.mark.parametrize("path", WRITES)
def test_compressed_body_is_rejected(api, path):
    response = api.post(path, gzip.compress(SENT), {"Content-Encoding": "gzip"})
    assert response.status_code == 415
    assert api.post("/trade", SENT, {"Content-Encoding": "identity"}).status_code == 201


@pytest.mark.parametrize("sent", ["a", "Abc-1.2_3:4", "x" * 100])
def test_valid_request_id_is_kept(api, sent):
    for response in (
        api.get("/portfolio/none", {"X-Request-ID": sent}),
        api.post("/trade", {}, {"X-Request-ID": sent}),
    ):
        assert response.headers["x-request-id"] == sent
        assert get_problem(response)["request_id"] == sent


@pytest.mark.parametrize("sent", [b"", b"x" * 101, b"a b", b"a\xff", b"<script>", b"a\tb"])
def test_invalid_request_id_is_replaced(api, sent):
    response = api.service.client.get("/health", headers=[(b"X-Request-ID", sent)])
    assert re.fullmatch("[0-9a-f]{20}", response.headers["x-request-id"])


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/health"), ("GET", "/nothing"), ("POST", "/api/v1/trade"), ("GET", "/docs")]
)
def test_every_answer_has_the_security_headers(service, method, path):
    headers = service.client.request(method, path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert "access-control-allow-origin" not in headers
    assert len(headers.get_list("x-request-id")) == 1


@pytest.mark.parametrize("environment", ["production", "development"])
def test_production_answers_require_tls(serve, environment):
    with serve(environment=environment) as service:
        for path in ("/health", "/nothing", "/api/v1/portfolios", "/docs"):
            response = service.client.get(path).headers.get("strict-transport-security")
            assert response == ("max-age=31536000" if environment == "production" else None)


@pytest.mark.parametrize("path", ["/api/v1/trade", "/api/v1/portfolios", "/health", "/nothing"])
def test_cross_origin_requests_are_not_allowed(api, path):
    origin = {"Origin": "https://elsewhere.example"}
    preflight = origin | {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-api-key",
    }
    for method, headers in (("OPTIONS", preflight), ("GET", origin), ("POST", origin)):
        response = send_request(api.service, method, path, api.key, headers=headers)
        assert not [name for name in response.headers if name.startswith("access-control-")]
        assert method != "OPTIONS" or response.status_code in {404, 405}


@pytest.mark.parametrize("path", ["/", "/health", "/api/v1/trade", "/api/v1/portfolio/x", "/metrics"])
def test_trace_method_is_rejected(api, path):
    response = send_request(api.service, "TRACE", path, api.key, headers={"X-Canary": "canary"})
    assert response.status_code in {404, 405}
    assert "canary" not in response.text
    assert api.key not in response.text


def get_rate(response):
    return response.headers.get_list("ratelimit-policy"), response.headers.get_list("ratelimit")


def test_answers_of_limited_routes_have_rate_limit_headers(serve):
    with serve(rate_limit_per_minute=60) as service:
        api, reader = service.create_client(), service.create_client("read")
        responses = [
            api.get("/portfolio/none"),
            api.get("/portfolio/none", as_of=1),
            api.post_trade(),
            api.post("/trade", {}),
            api.post("/trades:batch", {"trades": []}),
            api.get("/portfolios"),
            api.get("/portfolios", limit=0),
        ]
        assert [answer.status_code for answer in responses] == [404, 404, 201, 422, 422, 200, 422]
        for response in responses:
            (policy,), (state,) = get_rate(response)
            assert policy == '"default";q=60;w=60'
            assert re.fullmatch(r'"default";r=5\d;t=1', state)
        denied = reader.post("/trade", build_trade_body())
        assert (denied.status_code, get_rate(denied)[1]) == (403, ['"default";r=59;t=1'])
        for path in ("/health", "/nothing", "/docs"):
            assert get_rate(service.client.get(path)) == ([], [])


@pytest.mark.parametrize("path", ["/portfolio/none", "/portfolios"])
def test_rate_limit_error_names_the_limit_and_retry_time(serve, path):
    with serve(rate_limit_per_minute=5, rate_limit_tenant_per_minute=2) as service:
        api = service.create_client()
        for _ in range(2):
            assert api.get(path).status_code in {200, 404}
        refused = api.get(path)
        assert refused.status_code == 429
        assert get_rate(refused) == (
            ['"tenant";q=2;w=60'],
            [f'"tenant";r=0;t={refused.headers["retry-after"]}'],
        )
        assert "tenant" in get_problem(refused)["detail"]


@pytest.mark.parametrize("path", ["/portfolio/none", "/portfolios"])
def test_key_guessing_is_limited_by_address_before_any_query(serve, monkeypatch, path):
    with serve(rate_limit_per_minute=100, rate_limit_address_per_minute=5) as service:
        api, looked_up, find = service.create_client(), [], credentials.find_key

        def counted(connection, key_id):
            looked_up.append(key_id)
            return find(connection, key_id)

        monkeypatch.setattr(credentials, "find_key", counted)
        guesses = [make_key(random.Random(number).choice) for number in range(8)]
        responses = [send_request(service, "GET", f"/api/v1{path}", guess) for guess in guesses]
        assert [response.status_code for response in responses] == [401] * 5 + [429] * 3
        assert len(looked_up) == 5
        assert "address" in get_problem(responses[-1])["detail"]
        assert get_rate(responses[0]) == ([], [])
        assert api.get(path).status_code == 429


def test_rate_limit_applies_to_each_key_separately(serve):
    with serve(rate_limit_per_minute=3) as service:
        api, other = service.create_client(), service.create_client()
        statuses = [api.get("/portfolios").status_code for _ in range(3)]
        response = api.post_trade()
        assert statuses == [200] * 3
        assert response.status_code == 429
        assert 1 <= int(response.headers["retry-after"]) <= 20
        assert get_problem(response)["type"] == "urn:slackoms:problem/rate-limited"
        assert other.post_trade().status_code == 201
        assert send_request(service, "GET", "/health").status_code == 200


def test_full_queue_is_reported_and_records_nothing(serve):
    with serve(write_queue_limit=2) as service:
        api = service.create_client()
        response = api.post("/trades:batch", {"trades": [build_trade_body()] * 3})
        assert response.status_code == 503
        assert response.headers["retry-after"] == "1"
        assert get_problem(response)["type"] == "urn:slackoms:problem/not-placed"
        assert api.list_trades() == []
        assert api.post_trade().status_code == 201


@pytest.mark.parametrize("asked", ["", "?as_of=1"])
def test_unexpected_error_shows_only_its_request_id(serve, monkeypatch, asked):
    with serve() as service:
        api = service.create_client()

        def explode(*_):
            raise RuntimeError("canary-in-the-traceback")

        for reading in ("load_statement", "load_statements"):
            monkeypatch.setattr(f"app.ledger.service.portfolio_statements.{reading}", explode)
        response = api.get(f"/portfolio/x{asked}")
        assert response.status_code == 500
        assert "canary" not in response.text
        assert get_problem(response)["detail"] == "The error was logged under this request ID."


def test_login_and_refresh_count_towards_the_address_limit(serve):
    with serve(rate_limit_per_minute=100, rate_limit_address_per_minute=3) as service:
        bodies = {
            "login": {"tenant": "none", "email": "a@example.com", "password": "wrong words"},
            "refresh": {"refresh_token": "none"},
        }
        purposes = ["refresh", "login", "refresh", "refresh", "login"]
        responses = [
            send_request(service, "POST", f"/api/v1/auth/{name}", content=json.dumps(bodies[name]))
            for name in purposes
        ]
        assert [response.status_code for response in responses] == [401] * 3 + [429] * 2
        assert "address" in get_problem(responses[-1])["detail"]
