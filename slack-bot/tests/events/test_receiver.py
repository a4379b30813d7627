"""Events of the OMS arrive at the bot: signed, once each, missed events included."""

import base64
import json
import threading

import pytest
from typing_extensions import override

from app.delivery.event_store import EventStore
from app.delivery.send_queue import SendQueue
from app.delivery.slack_api import SlackApi
from app.errors import OmsError
from app.events.receiver import EventReceiver, run_registration
from app.events.registry import Event, EventRegistry
from app.oms_client import OmsClient
from app.oms_client.event_api import EventApi
from app.server.build import create_bot
from app.services.dependencies import Services
from app.storage.bot_registry import BotRegistry
from app.storage.connection import open_database
from app.storage.storage import Storage, create_storage
from tests import factories
from tests.conftest import WAITS
from tests.events.signed_events import SECRET, sign_event
from tests.fakes import Response, build_problem

BY_NAME = "/webhooks/by-name/slack-bot"
ROTATE = "/webhooks/wh_1:rotate"
CREATED = Response(201, {"id": "wh_1", "secret": SECRET, "created_at": "2026-11-29T10:00:00.000000Z"})
KNOWN = Response(200, {"id": "wh_1", "created_at": "2026-11-29T10:00:00.000000Z"})
URL = "http://127.0.0.1:3000/oms/events"


def build_event_body(event_id="e1", event_type="order.filled", created_at="2026-11-29T10:00:01.000000Z"):
    return {"id": event_id, "type": event_type, "created_at": created_at, "data": {"order_id": "O1"}}


@pytest.fixture
def services(slack, oms):
    settings = factories.build_settings(slack.api_url, oms.url)
    services = Services(
        oms=OmsClient(settings), slack=SlackApi(settings), send_queue=SendQueue(), waits=WAITS
    )
    yield services
    services.stop(1.0)


@pytest.fixture
def api(oms):
    api = EventApi(factories.build_settings(oms_url=oms.url))
    yield api
    api.close()


@pytest.fixture
def handled_events():
    return []


@pytest.fixture
def receiver(services, handled_events):
    registry = EventRegistry()
    registry.register("order.*", lambda _, event: handled_events.append(event.id))
    return EventReceiver(services, registry)


@pytest.fixture
def registered_receiver(receiver, api, oms):
    oms.queue_responses(BY_NAME, CREATED)
    receiver.register(api, URL)
    return receiver


def test_registration_names_the_address_and_the_subscribed_types(registered_receiver, oms):
    (call,) = oms.list_requests(BY_NAME)
    assert call.method == "PUT"
    assert call.body == {"url": URL, "event_types": ["order.*"]}
    assert "x-on-behalf-of" not in call.headers


def test_signed_event_is_handled_once_however_often_it_is_delivered(registered_receiver, handled_events):
    body = json.dumps(build_event_body()).encode()
    assert registered_receiver.receive(sign_event(body), body) == 204
    assert registered_receiver.receive(sign_event(body), body) == 204
    assert handled_events == ["e1"]


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-signature": "v1,AAAA"},
        {"webhook-signature": "é"},
        {"webhook-timestamp": "soon"},
        {"webhook-timestamp": "1"},
        {"webhook-id": "e2"},
        {},
    ],
)
def test_unsigned_event_is_refused(registered_receiver, handled_events, change):
    body = json.dumps(build_event_body()).encode()
    headers = sign_event(body) | change if change else {}
    assert registered_receiver.receive(headers, body) == 401
    assert handled_events == []


def test_nothing_is_accepted_before_the_secret_is_known(receiver):
    body = json.dumps(build_event_body()).encode()
    assert receiver.receive(sign_event(body), body) == 401


def test_signature_of_either_secret_counts_during_a_rotation(registered_receiver, handled_events):
    body = json.dumps(build_event_body()).encode()
    other = sign_event(body, secret="whsec_" + base64.b64encode(b"o" * 24).decode())
    headers = sign_event(body)
    headers["webhook-signature"] = f"{other['webhook-signature']} {headers['webhook-signature']}"
    assert registered_receiver.receive(headers, body) == 204


@pytest.mark.parametrize("body", [b"{", b"[]", b"[" * 20_000, b'{"id":"e1"}', b'{"id":1,"data":{}}'])
def test_signed_body_that_is_not_an_event_is_a_400(registered_receiver, body):
    assert registered_receiver.receive(sign_event(body), body) == 400


def test_secret_that_was_shown_before_is_rotated(receiver, api, oms, handled_events):
    oms.queue_responses(BY_NAME, KNOWN)
    oms.queue_responses(ROTATE, Response(201, {"id": "wh_1", "secret": SECRET}))
    receiver.register(api, URL)
    body = json.dumps(build_event_body()).encode()
    assert receiver.receive(sign_event(body), body) == 204
    assert handled_events == ["e1"]


@pytest.fixture
def other_receiver(services, handled_events, slack, oms):
    """Provide another bot on the same database."""
    settings = factories.build_settings(slack.api_url, oms.url)
    database = services.storage.database
    storage = Storage(database, BotRegistry(database))
    other = Services(
        oms=OmsClient(settings),
        slack=SlackApi(settings),
        send_queue=SendQueue(),
        waits=WAITS,
        storage=storage,
        keys=services.keys,
    )
    services.storage.bots.beat()  # the second registry found the first bot of its file dead
    registry = EventRegistry()
    registry.register("order.*", lambda _, event: handled_events.append(event.id))
    yield EventReceiver(other, registry)
    other.stop_workspace(0.0)
    other.stop_workers()


def test_bots_share_the_secret_and_handle_each_event_once(
    registered_receiver, other_receiver, api, oms, handled_events
):
    oms.queue_responses(BY_NAME, KNOWN)
    oms.queue_responses("/events", Response(200, []))
    other_receiver._store.add("start", "2026-11-29T10:00:00Z")
    other_receiver.register(api, URL)
    assert oms.list_requests(ROTATE) == []
    body = json.dumps(build_event_body()).encode()
    assert (
        other_receiver.receive(sign_event(body), body)
        == registered_receiver.receive(sign_event(body), body)
        == 204
    )
    assert handled_events == ["e1"]


def test_event_that_the_other_bot_handles_is_sent_again_later(
    registered_receiver, other_receiver, handled_events
):
    other_receiver._store.claim("e1", "2026-11-29T10:00:01Z")
    body = json.dumps(build_event_body()).encode()
    assert registered_receiver.receive(sign_event(body), body) == 503
    other_receiver._store.add("e1", "2026-11-29T10:00:01Z")
    assert registered_receiver.receive(sign_event(body), body) == 204
    assert handled_events == []


def test_secret_that_the_other_bot_replaced_is_loaded(registered_receiver, services, handled_events):
    other = "whsec_" + base64.b64encode(b"o" * 24).decode()
    body = json.dumps(build_event_body()).encode()
    assert registered_receiver.receive(sign_event(body, secret=other), body) == 401
    services.webhook_secrets.save("wh_1", other)
    registered_receiver._reloaded_at = 0.0
    assert registered_receiver.receive(sign_event(body, secret=other), body) == 204
    assert "whsec" not in str(services.storage.database.execute("SELECT * FROM webhook_secrets"))


def test_one_bot_replaces_a_lost_secret(receiver, other_receiver, api, oms):
    receiver._clock = other_receiver._clock = lambda: 1000.0  # both within one minute
    oms.default_responses[BY_NAME] = KNOWN
    oms.queue_responses(ROTATE, Response(201, {"id": "wh_1", "secret": SECRET}))
    oms.default_responses["/events"] = Response(200, [])
    receiver.register(api, URL)
    receiver._services.webhook_secrets.save("wh_1", "")
    with pytest.raises(OmsError, match="Another bot"):
        other_receiver.register(api, URL)
    assert len(oms.list_requests(ROTATE)) == 1


def test_missed_events_are_handled_once_and_in_order_after_a_restart(
    services, receiver, api, oms, handled_events
):
    services.handled_events.add("e1", "2026-11-29T10:00:01.000000Z")
    oms.queue_responses(BY_NAME, CREATED)
    newest = [build_event_body("e4", created_at="2026-11-29T11:00:00Z"), build_event_body("e3")]
    next_page = {"Link": '</api/v1/events?from=x&cursor=e3>; rel="next"'}
    oms.queue_responses(
        "/events",
        Response(200, newest, next_page),
        Response(200, [build_event_body("e2"), build_event_body("e1")]),
    )
    receiver.register(api, URL)
    assert handled_events == ["e2", "e3", "e4"]
    first, second = oms.list_requests("/events")
    assert first.query["from"] == "2026-11-29T09:55:01Z"
    assert first.query["type"] == "order.*"
    assert second.query["cursor"] == "e3"
    assert receiver.handle_once(Event("e3", "order.filled", "2026-11-29T10:00:01Z")) is False


def test_all_events_of_a_long_outage_are_handled_in_order(
    services, receiver, api, oms, handled_events, monkeypatch
):
    monkeypatch.setattr("app.events.receiver.MAX_KEPT_PAGES", 1)
    services.handled_events.add("e1", "2026-11-29T10:00:01.000000Z")
    oms.queue_responses(BY_NAME, CREATED)

    def build_page(event_id, cursor=""):
        link = {"Link": f'</api/v1/events?from=x&cursor={cursor}>; rel="next"'} if cursor else {}
        return Response(200, [build_event_body(event_id)], link)

    pages = [build_page("e5", "c5"), build_page("e4", "c4"), build_page("e3", "c3"), build_page("e2")]
    oms.queue_responses("/events", *pages, build_page("e3", "c3"), build_page("e4", "c4"))
    receiver.register(api, URL)
    assert handled_events == ["e2", "e3", "e4", "e5"]
    cursors = [request.query.get("cursor", "") for request in oms.list_requests("/events")]
    assert cursors == ["", "c5", "c4", "c3", "c4", "c5"], "only one page is kept in memory beside the newest"


def test_first_start_handles_no_history_and_the_next_one_begins_there(registered_receiver, services, oms):
    assert oms.list_requests("/events") == []
    assert services.handled_events.find_cursor() == "2026-11-29T10:00:00.000000Z"


def test_registration_is_tried_again_until_the_oms_responds(receiver, services, api, oms):
    oms.queue_responses(BY_NAME, Response(503), Response(200, []), CREATED)
    object.__setattr__(services, "waits", type(WAITS)(register_again=0.01, register_every=60.0))
    thread = threading.Thread(target=run_registration, args=(receiver, services, api, URL))
    thread.start()
    oms.wait_for(BY_NAME, 3)
    services.stopping.set()
    thread.join(60)
    assert len(oms.list_requests(BY_NAME)) == 3


class StopAtFirstWait(threading.Event):
    """An event that is set as soon as a thread waits for it. It records for how long."""

    def __init__(self) -> None:
        super().__init__()
        self.waited_seconds: list[float | None] = []

    @override
    def wait(self, timeout: float | None = None) -> bool:
        self.waited_seconds.append(timeout)
        self.set()
        return True


def test_key_without_the_scope_is_reported_once_and_not_tried_again_soon(
    receiver, services, api, oms, caplog
):
    oms.queue_responses(BY_NAME, build_problem(403, "no", kind="forbidden"), CREATED)
    object.__setattr__(services, "waits", type(WAITS)(register_again=1.0, register_every=600.0))
    stopping = StopAtFirstWait()
    object.__setattr__(services, "stopping", stopping)
    run_registration(receiver, services, api, URL)
    assert stopping.waited_seconds == [600.0]
    assert len(oms.list_requests(BY_NAME)) == 1
    assert [record.message for record in caplog.records] == [
        "Not registered for events: the API key needs the scope `bot`"
    ]


def test_handled_events_survive_a_restart(tmp_path):
    url = f"sqlite:///{tmp_path / 'bot.db'}"
    storage = create_storage(open_database(url))
    EventStore(storage, lambda: "T1").add("e1", "2026-11-29T10:00:00Z")
    storage.close()
    storage = create_storage(open_database(url))
    store = EventStore(storage, lambda: "T1")
    assert store.contains("e1")
    assert not store.contains("e2")
    assert not EventStore(storage, lambda: "T2").contains("e1")
    assert (tmp_path / "bot.db").stat().st_mode & 0o077 == 0
    storage.close()


def test_old_events_are_pruned():
    store = EventStore(create_storage(), lambda: "T1")
    store.add("old", "2026-11-01T10:00:00Z")
    for number in range(999):
        store.add(f"e{number}", "2026-11-29T10:00:00Z")
    assert not store.contains("old")
    assert store.contains("e998")


def test_server_responds_to_deliveries_of_the_oms(slack, oms, services):
    bot = create_bot(factories.build_settings(slack.api_url, oms.url), services)
    response = bot.web.test_client().post("/oms/events", data=b"{}", headers=sign_event(b"{}"))
    assert response.status_code == 401
    assert "webhook.disabled" in bot.receiver.patterns
