"""Each subscribed endpoint receives its events at least once, and in order per order.

This also holds if another endpoint hangs.
"""

from datetime import timedelta

import pytest
from standardwebhooks import Webhook

from app.webhooks.rules.attempts import MAX_ATTEMPTS, AttemptResult
from tests.webhooks.webhook_rows import URL, create_webhook, list_trade_events

FAILED = AttemptResult(503, 1)


def list_deliveries(tenant, webhook):
    return tenant.get(f"/webhooks/{webhook['id']}/deliveries").json()["items"]


def test_events_match_the_list_and_the_standard_library_accepts_their_signatures(
    tenant, dispatching_tenant, endpoints
):
    webhook = create_webhook(tenant)
    tenant.place_order()
    dispatching_tenant.run(lambda: len(endpoints.requests) >= len(tenant.get("/events").json()))
    listed = {item["id"]: item for item in tenant.get("/events").json()}
    for _, headers, body in endpoints.requests:
        event = Webhook(webhook["secret"]).verify(body, headers)
        assert event == listed.pop(headers["webhook-id"])
    assert listed == {}
    assert {item["status"] for item in list_deliveries(tenant, webhook)} == {"delivered"}


def test_events_of_an_order_arrive_in_order(tenant, dispatching_tenant, endpoints):
    create_webhook(tenant, types=["order.*"])
    orders = [tenant.place_order(type="LIMIT", limit_price="1")["id"] for _ in range(5)]
    for order in orders:
        tenant.post(f"/orders/{order}/cancel", {})
    endpoints.answers[URL] += [AttemptResult(204, 1), AttemptResult(204, 1)]
    dispatching_tenant.run(
        lambda: sum(item["type"] == "order.canceled" for item in endpoints.events(URL)) == 5
    )
    for order in orders:
        sequences = [
            item["data"]["sequence"] for item in endpoints.events(URL) if item["data"]["order_id"] == order
        ]
        assert sequences == sorted(set(sequences))


@pytest.mark.any_database
def test_endpoint_gets_only_the_types_that_it_subscribed_to(tenant, dispatching_tenant, endpoints):
    create_webhook(tenant, types=["order.filled", "trade.*"])
    tenant.place_order()
    tenant.record_trade()
    dispatching_tenant.run(lambda: len(list_trade_events(endpoints)) == 2)
    assert {item["type"] for item in endpoints.events(URL)} == {"order.filled", "trade.recorded"}


@pytest.mark.any_database
def test_tenant_gets_only_its_own_events_and_none_from_before(hooks, tenant, dispatching_tenant, endpoints):
    tenant.record_trade()
    create_webhook(tenant, types=["trade.*"])
    hooks.create_client().record_trade()
    own = tenant.record_trade()["trade_id"]
    dispatching_tenant.run(lambda: bool(endpoints.requests))
    assert list_trade_events(endpoints) == [own]


def test_dispatcher_that_is_killed_loses_nothing_and_repeats_the_same_ids(
    tenant, dispatching_tenant, endpoints
):
    webhook = create_webhook(tenant, types=["trade.*"])
    trades = [tenant.record_trade()["trade_id"] for _ in range(6)]
    dispatching_tenant.run(lambda: len(endpoints.requests) >= 3, kill=True)
    dispatching_tenant.run(
        lambda: {item["status"] for item in list_deliveries(tenant, webhook)} == {"delivered"}
    )
    assert set(list_trade_events(endpoints)) == set(trades)
    ids: dict[str, bytes] = {}
    for _, headers, body in endpoints.requests:
        assert ids.setdefault(headers["webhook-id"], body) == body
    assert len(ids) == len(trades)
    assert [item["status"] for item in list_deliveries(tenant, webhook)] == ["delivered"] * 6


@pytest.mark.any_database
def test_failed_delivery_is_retried_with_the_same_id_and_every_attempt_is_kept(
    tenant, dispatching_tenant, endpoints
):
    webhook = create_webhook(tenant, types=["trade.*"])
    tenant.record_trade()
    endpoints.answers[URL] += [AttemptResult(None, 7, "No response within 10 s."), FAILED]
    dispatching_tenant.run(lambda: len(endpoints.requests) == 1)
    [delivery] = list_deliveries(tenant, webhook)
    assert (delivery["status"], delivery["attempt"], delivery["response_status"]) == ("pending", 1, None)
    assert delivery["error"] == "No response within 10 s."
    dispatching_tenant.clock.ahead = timedelta(minutes=2)
    dispatching_tenant.run(lambda: len(endpoints.requests) == 2)
    dispatching_tenant.clock.ahead = timedelta(minutes=10)
    dispatching_tenant.run(lambda: len(endpoints.requests) == 3)
    [delivery] = list_deliveries(tenant, webhook)
    assert (delivery["status"], delivery["attempt"], delivery["next_attempt_at"]) == ("delivered", 3, None)
    assert [attempt["response_status"] for attempt in delivery["attempts"]] == [None, 503, 204]
    assert len({headers["webhook-id"] for _, headers, _ in endpoints.requests}) == 1
    traces = [headers["traceparent"].split("-") for _, headers, _ in endpoints.requests]
    assert len({trace for _, trace, *_ in traces}) == 1
    assert len({span for *_, span, _ in traces}) == 3
    assert dispatching_tenant.counted == [("pending", 0.007), ("pending", 0.001), ("delivered", 0.001)]


def test_410_disables_at_once_and_other_endpoints_get_an_event(tenant, dispatching_tenant, endpoints):
    gone = create_webhook(tenant, types=["trade.*"])
    create_webhook(tenant, f"{URL}/other", types=["webhook.*"])
    endpoints.answers[URL].append(AttemptResult(410, 1))
    tenant.record_trade()
    dispatching_tenant.run(lambda: bool(endpoints.events(f"{URL}/other")))
    body = tenant.get(f"/webhooks/{gone['id']}").json()
    assert (body["status"], body["disabled_reason"]) == ("disabled", "The endpoint answered 410 Gone.")
    [event] = endpoints.events(f"{URL}/other")
    assert event["type"] == "webhook.disabled"
    assert event["data"] == {
        "webhook_id": gone["id"], "name": None, "reason": "The endpoint answered 410 Gone."
    }  # fmt: skip
    tenant.record_trade()
    assert tenant.post(f"/webhooks/{gone['id']}:test").status_code == 409


@pytest.mark.any_database
def test_tenth_failure_disables_and_enabling_sends_pending_deliveries(tenant, dispatching_tenant, endpoints):
    webhook = create_webhook(tenant, types=["trade.*"])
    endpoints.answers[URL] += [FAILED] * MAX_ATTEMPTS
    first = tenant.record_trade()["trade_id"]
    for attempt in range(1, MAX_ATTEMPTS + 1):
        dispatching_tenant.run(lambda: len(endpoints.requests) >= attempt)  # noqa: B023  # called at once
        dispatching_tenant.clock.ahead = timedelta(days=attempt * 2)
    assert tenant.get(f"/webhooks/{webhook['id']}").json()["disabled_reason"] == "10 attempts failed."
    missed = tenant.record_trade()["trade_id"]
    assert tenant.post(f"/webhooks/{webhook['id']}:enable").json()["status"] == "enabled"
    dispatching_tenant.clock.ahead = None
    later = tenant.record_trade()["trade_id"]
    dispatching_tenant.run(lambda: later in list_trade_events(endpoints))
    assert missed not in list_trade_events(endpoints), "it is in GET /events"
    assert set(list_trade_events(endpoints)) == {first, later}


def test_hanging_endpoint_does_not_delay_others(tenant, dispatching_tenant, endpoints):
    hanging, quick = f"{URL}/hanging", [f"{URL}/{number}" for number in range(3)]
    for url in (hanging, *quick):
        create_webhook(tenant, url, ["trade.*"])
    endpoints.hanging.add(hanging)
    trades = [tenant.record_trade()["trade_id"] for _ in range(4)]
    dispatching_tenant.run(
        lambda: all(len(list_trade_events(endpoints, url)) == 4 for url in quick), kill=True
    )
    assert all(set(list_trade_events(endpoints, url)) == set(trades) for url in quick)
    assert endpoints.most_running[hanging] == 1


@pytest.mark.any_database
def test_tenant_whose_endpoints_all_hang_takes_no_requests_from_other_tenants(
    hooks, tenant, dispatching_tenant, endpoints, monkeypatch
):
    monkeypatch.setattr("app.webhooks.service.dispatcher.MAX_UNPROVEN_REQUESTS", 4)
    hanging = [f"{URL}/hanging/{number}" for number in range(6)]
    endpoints.hanging.update(hanging)
    other = hooks.create_client()
    try:
        for url in hanging:
            create_webhook(other, url, ["trade.*"])
        create_webhook(tenant, types=["trade.*"])
        other.record_trade()
        dispatching_of_other = dispatching_tenant.create()
        trade = tenant.record_trade()["trade_id"]
        dispatching_tenant.run(
            lambda: list_trade_events(endpoints) == [trade], dispatching_of_other, kill=True
        )
        assert sum(len(endpoints.events(url)) for url in hanging) == 2  # half of the requests
    finally:
        for webhook in other.get("/webhooks").json():
            other.delete(f"/webhooks/{webhook['id']}")


@pytest.mark.any_database
def test_endpoint_behind_others_catches_up_in_order_with_bounded_memory(
    tenant, dispatching_tenant, endpoints, monkeypatch
):
    monkeypatch.setattr("app.webhooks.service.dispatcher.MAX_WAITING", 3)
    monkeypatch.setattr("app.webhooks.rules.endpoint_queue.MAX_WAITING", 3)
    create_webhook(tenant, types=["trade.*"])
    endpoints.answers[URL].append(FAILED)
    trades = [tenant.record_trade()["trade_id"] for _ in range(9)]
    dispatching_tenant.run(lambda: len(endpoints.requests) == 1)
    dispatcher = dispatching_tenant.create()
    dispatching_tenant.clock.ahead = timedelta(minutes=2)
    dispatching_tenant.run(lambda: len(set(list_trade_events(endpoints))) == 9, dispatcher)
    assert sorted(set(list_trade_events(endpoints))) == sorted(trades)


@pytest.mark.any_database
def test_rotated_secret_overlaps_and_the_old_one_ends(tenant, dispatching_tenant, endpoints):
    webhook = create_webhook(tenant, types=["trade.*"])
    new = tenant.post(f"/webhooks/{webhook['id']}:rotate", {"overlap_seconds": 600}).json()["secret"]
    tenant.record_trade()
    dispatching_tenant.run(lambda: len(endpoints.requests) == 1)
    _, headers, body = endpoints.requests[0]
    for secret in (webhook["secret"], new):
        Webhook(secret).verify(body, headers)
    dispatching_tenant.clock.ahead = timedelta(seconds=601)
    tenant.record_trade()
    dispatching_tenant.run(lambda: len(endpoints.requests) == 2)
    assert len(endpoints.requests[1][1]["webhook-signature"].split(" ")) == 1


@pytest.mark.any_database
def test_webhooks_of_a_revoked_key_get_no_events(tenant, dispatching_tenant, endpoints):
    key = tenant.post("/api-keys", {"name": "leaked", "scopes": ["bot"]}).json()
    other = {"url": f"{URL}/leaked", "event_types": ["trade.*"]}
    response = tenant.service.client.post("/api/v1/webhooks", json=other, headers={"X-API-Key": key["key"]})
    assert response.status_code == 201, response.text
    create_webhook(tenant, types=["trade.*"])
    tenant.record_trade()
    dispatching_tenant.run(lambda: len(endpoints.requests) == 2)
    assert tenant.patch(f"/api-keys/{key['key_id']}", {"revoked": True}).status_code == 200
    tenant.record_trade()
    dispatching_tenant.run(lambda: len(endpoints.events(URL)) == 2)
    assert len(endpoints.events(f"{URL}/leaked")) == 1


def test_test_event_goes_to_one_endpoint_and_a_delivery_can_be_sent_again(
    tenant, dispatching_tenant, endpoints
):
    webhook = create_webhook(tenant)
    create_webhook(tenant, f"{URL}/other")
    queued = tenant.post(f"/webhooks/{webhook['id']}:test")
    assert queued.status_code == 202
    dispatching_tenant.run(lambda: len(endpoints.requests) == 1)
    [event] = endpoints.events(URL)
    assert (event["type"], event["id"]) == ("webhook.test", queued.json()["event_id"])
    path = f"/webhooks/{webhook['id']}/deliveries/{queued.json()['id']}:resend"
    repeated_response = tenant.post(path)
    assert (repeated_response.status_code, repeated_response.json()["event_id"]) == (202, event["id"])
    dispatching_tenant.run(lambda: len(endpoints.requests) == 2)
    assert endpoints.events(URL)[1] == event
    assert endpoints.events(f"{URL}/other") == []


@pytest.mark.any_database
def test_suspended_tenant_and_deleted_webhook_get_nothing(tenant, dispatching_tenant, endpoints):
    webhook = create_webhook(tenant, types=["trade.*"])
    create_webhook(tenant, f"{URL}/other", types=["trade.*"])
    path = f"/api/v1/webhooks/{webhook['id']}"
    headers = {"X-API-Key": tenant.key}
    assert tenant.service.client.delete(path, headers=headers).status_code == 204
    assert tenant.service.client.delete(path, headers=headers).status_code == 404
    tenant.record_trade()
    dispatching_tenant.run(lambda: bool(endpoints.events(f"{URL}/other")))
    assert endpoints.events(URL) == []
