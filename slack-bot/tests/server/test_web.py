"""The Flask app."""

import json
import time
from urllib.parse import quote, quote_plus

import pytest

from app.server import slack_endpoint
from app.server.signature import is_signed
from app.server.slack_endpoint import MAX_BODY_BYTES, parse_request
from support.conditions import wait_until
from tests import factories
from tests.conftest import Workspace
from tests.fakes import Response
from tests.limits import check_view
from tests.views import get_notice

BODY = factories.build_form_body(factories.build_command("help"))


def post_request(workspace: Workspace, headers, body=BODY, path="/slack/commands"):
    return workspace.bot.web.test_client().post(path, data=body, headers=headers)


def build_headers_without(headers, name):
    return {each: value for each, value in headers.items() if each != name}


GOOD = factories.sign_headers(BODY)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        GOOD | {"X-Slack-Signature": "v0=" + "0" * 64},
        GOOD | {"X-Slack-Signature": "é"},
        GOOD | {"X-Slack-Signature": ""},
        GOOD | {"X-Slack-Request-Timestamp": "soon"},
        GOOD | {"X-Slack-Request-Timestamp": ""},
        GOOD | {"X-Slack-Request-Timestamp": "1" * 5000},
        GOOD | {"X-Slack-Request-Timestamp": "1.5"},
        GOOD | {"X-Slack-Request-Timestamp": "-1"},
        build_headers_without(GOOD, "X-Slack-Signature"),
        build_headers_without(GOOD, "X-Slack-Request-Timestamp"),
        factories.sign_headers(BODY, at=time.time() - 40_000),
        factories.sign_headers(BODY, at=time.time() + 40_000),
        factories.sign_headers(BODY, secret="another-secret"),
        factories.sign_headers(BODY + "&user_id=U2"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/slack/events", "/slack/commands", "/slack/interactions"])
def test_unsigned_request_is_refused_before_it_is_parsed(workspace: Workspace, headers, path, monkeypatch):
    monkeypatch.setattr(slack_endpoint, "parse_request", lambda *_: pytest.fail("parsed"))
    assert post_request(workspace, headers, path=path).status_code == 401


def test_signature_holds_for_five_minutes_either_way():
    headers = factories.sign_headers(BODY, at=1000)
    signature = headers["X-Slack-Signature"]
    secret, body = factories.SECRET, BODY.encode()
    assert is_signed(secret, "1000", signature, body, now=1300)
    assert is_signed(secret, "1000", signature, body, now=700)
    assert not is_signed(secret, "1000", signature, body, now=1301)
    assert not is_signed(secret, "1000", signature, body, now=699)


def test_body_is_never_logged(workspace: Workspace, caplog):
    caplog.set_level("DEBUG")
    body = factories.build_form_body(factories.build_command("canary-in-the-body"))
    post_request(workspace, factories.sign_headers(body), body)
    post_request(workspace, {}, body)
    workspace.type("canary-in-the-body")
    assert "canary-in-the-body" not in caplog.text
    assert factories.SECRET not in caplog.text


def test_secrets_appear_in_no_repr(workspace: Workspace):
    output = repr(workspace.bot.settings) + repr(workspace.bot.services)
    assert all(secret not in output for secret in (factories.SECRET, factories.TOKEN, factories.OMS_KEY))


def test_body_beyond_the_cap_is_refused(workspace: Workspace):
    body = "x" * (MAX_BODY_BYTES + 1)
    assert post_request(workspace, factories.sign_headers(body), body).status_code == 413


@pytest.mark.parametrize(
    "payload",
    [
        "{", "%7B", "[]", "null", "1", "true", '"x"', "[" * 20_000,
        '{"type":"view_submission","team":{"id":"T1"},"view":[]}',
        '{"type":"view_submission","view":null,"user":3}', '{"type":"block_actions","actions":[]}',
        '{"type":"view_submission","team":5,"view":{}}',
        '{"type":"block_suggestion","team":{"id":"T1"},"view":1}',
    ],
)  # fmt: skip
def test_signed_but_malformed_payload_is_a_400(workspace: Workspace, payload, caplog):
    body = f"payload={payload}"
    assert (
        post_request(workspace, factories.sign_headers(body), body, "/slack/interactions").status_code == 400
    )
    assert all(record.exc_info is None for record in caplog.records)


@pytest.mark.parametrize("body", ["[]", "null", "1", "[" * 20_000, '{"type":"event_callback","event":[]}'])
def test_signed_but_malformed_event_is_a_400(workspace: Workspace, body):
    headers = factories.sign_headers(body) | {"Content-Type": "application/json"}
    assert post_request(workspace, headers, body, "/slack/events").status_code == 400


@pytest.mark.parametrize(
    "text",
    ["plain", "a+b = c & d; 50 %", '"{}[]:,/', "%41", "äöü €", "😀", "line\r\nline\ttab", "=", "==\n", " "],
)
@pytest.mark.parametrize("encode", [quote_plus, quote])
def test_payload_is_decoded_like_a_form(text, encode):
    payload = json.dumps({"text": text}, ensure_ascii=False)
    content = f"payload={encode(payload)}".encode()
    assert parse_request(content, "application/x-www-form-urlencoded", "req-1").body == {"text": text}
    assert slack_endpoint._parse_payload(content) == payload


@pytest.mark.parametrize(
    "content", [b"payload=a&payload=b", b"payload=a=b", b"payload=a%3D\n", b"text=payload="]
)
def test_other_content_is_left_to_the_parser_of_forms(content):
    assert slack_endpoint._parse_payload(content) is None


def test_slacks_url_check_gets_its_challenge_back(workspace: Workspace):
    body = '{"type":"url_verification","challenge":"abc"}'
    headers = factories.sign_headers(body) | {"Content-Type": "application/json"}
    assert b"abc" in post_request(workspace, headers, body, "/slack/events").data


def test_delivery_without_a_handler_gets_404(workspace: Workspace):
    assert (
        workspace.deliver(factories.build_interaction("shortcut", callback_id="unknown")).status_code == 404
    )


def test_every_delivery_gets_a_request_id_of_our_own(workspace: Workspace):
    headers = factories.sign_headers(BODY) | {"X-Request-ID": "forged"}
    first, second = (post_request(workspace, headers).headers["X-Request-ID"] for _ in range(2))
    assert first.startswith("req-")
    assert len({first, second, "forged"}) == 3


def test_slack_paths_take_posts_only(workspace: Workspace):
    assert workspace.bot.web.test_client().get("/slack/events").status_code == 405


def get_health(workspace: Workspace):
    response = workspace.bot.web.test_client().get("/health")
    assert response.status_code == 200
    return response.get_json()


@pytest.fixture
def clock(workspace: Workspace, monkeypatch):
    """Provide the time of the health checks: a list with one number of seconds."""
    now = [1000.0]
    for probe in workspace.bot.health._probes.values():
        monkeypatch.setattr(probe, "_clock", lambda: now[0])
    return now


def test_first_health_check_probes_both_services_and_returns_the_age_of_the_results(
    workspace: Workspace, clock
):
    assert get_health(workspace) == {
        "status": "ok", "service": "slack-bot", "bot": "ok", "slack": "ok", "oms": "ok", "age_seconds": 0.0,
    }  # fmt: skip
    clock[0] += 4.0
    assert get_health(workspace)["age_seconds"] == 4.0


def test_service_that_does_not_respond_within_the_timeout_is_failing(workspace: Workspace, monkeypatch):
    monkeypatch.setattr(workspace.bot.health, "_timeout_seconds", 0.1)
    workspace.slack.default_responses["auth.test"] = Response(slow=5.0)
    workspace.bot.health._probes["oms"].run()
    result = get_health(workspace)
    assert result["slack"] == "failing"
    assert result["oms"] == "ok"
    assert get_health(workspace)["slack"] == "failing"
    workspace.slack.wait_for("auth.test")
    assert len(workspace.slack.list_requests("auth.test")) == 1, "one check at a time"


def test_health_distinguishes_slack_oms_and_bot(workspace: Workspace):
    workspace.oms.default_responses["/health/ready"] = Response(503)
    workspace.bot.health.check_services()
    result = workspace.bot.health.report()
    assert result | {"bot": "ok", "slack": "ok", "oms": "failing"} == result
    workspace.slack.refuse("auth.test", "invalid_auth")
    workspace.oms.default_responses["/health/ready"] = Response()
    workspace.bot.health.check_services()
    result = workspace.bot.health.report()
    assert result | {"bot": "ok", "slack": "failing", "oms": "ok"} == result


def test_health_result_is_cached_between_probes(workspace: Workspace, clock):
    for _ in range(20):
        get_health(workspace)
    assert (
        len(workspace.slack.list_requests("auth.test"))
        == len(workspace.oms.list_requests("/health/ready"))
        == 1
    )


def test_result_is_refreshed_after_an_hour_without_requests(workspace: Workspace, clock):
    assert get_health(workspace)["oms"] == "ok"
    workspace.oms.default_responses["/health/ready"] = Response(503)
    clock[0] += 3600.0
    result = get_health(workspace)
    assert result["oms"] == "failing"
    assert result["age_seconds"] == 0.0


def test_health_probes_again_soon_after_a_failure(workspace: Workspace, clock):
    workspace.oms.default_responses["/health/ready"] = Response(503)
    workspace.bot.health.check_services()
    workspace.oms.default_responses["/health/ready"] = Response()
    clock[0] += 1.0
    assert get_health(workspace)["oms"] == "failing"
    assert len(workspace.oms.list_requests("/health/ready")) == 1
    clock[0] += 2.0
    get_health(workspace)
    workspace.oms.wait_for("/health/ready", 2)
    wait_until(lambda: get_health(workspace)["oms"] == "ok")


@pytest.mark.parametrize("age", [8.0, 15.0])
def test_recent_result_is_returned_at_once_and_refreshed_in_the_background(workspace: Workspace, clock, age):
    get_health(workspace)
    workspace.oms.default_responses["/health/ready"] = workspace.slack.default_responses["auth.test"] = (
        Response(slow=5.0)
    )
    clock[0] += age
    result = get_health(workspace)
    assert result["oms"] == "ok"
    assert result["slack"] == "ok"
    assert result["age_seconds"] == age
    workspace.oms.wait_for("/health/ready", 2)
    workspace.slack.wait_for("auth.test", 2)


def test_health_is_failing_if_the_oms_is_down(workspace: Workspace):
    workspace.oms.stop()
    assert get_health(workspace)["oms"] == "failing"


def test_failing_command_is_logged_and_reported_with_a_reference(workspace: Workspace, monkeypatch, caplog):
    def broken(_delivery):
        raise ZeroDivisionError

    monkeypatch.setattr(workspace.bot.services.recent_deliveries, "add", broken)
    response = workspace.type("AAPL")
    assert response.status_code == 200
    assert response.get_json()["response_type"] == "ephemeral"
    assert response.headers["X-Request-ID"] in response.get_json()["text"]
    assert "Handler failed" in caplog.text


@pytest.mark.parametrize("broken", ["claim", "state"])
def test_internal_error_of_a_submission_is_shown_over_the_form(
    workspace: Workspace, monkeypatch, caplog, broken
):
    payload = factories.build_submission()
    if broken == "claim":
        monkeypatch.setattr(workspace.bot.services.submissions, "claim", lambda *_: 1 / 0)
    else:
        del payload["view"]["state"]
    response = workspace.deliver(payload)
    result = response.get_json()
    assert response.status_code == 200
    assert result["response_action"] == "push", "the form stays underneath"
    check_view(result["view"])
    assert "An error occurred in the app" in get_notice(result["view"])
    assert response.headers["X-Request-ID"] in get_notice(result["view"])
    assert "Handler failed" in caplog.text


def test_failed_option_request_returns_no_options(workspace: Workspace, monkeypatch):
    monkeypatch.setattr(workspace.bot.services.suggestion_workers, "submit", lambda *_, **__: 1 / 0)
    payload = factories.build_interaction(
        "block_suggestion", action_id="portfolio_entry", block_id="p", value="x"
    )
    assert workspace.deliver(payload).get_json() == {"options": []}
