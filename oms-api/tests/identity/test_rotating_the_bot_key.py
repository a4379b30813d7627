"""The bot's own key can be replaced: its webhook, and where it reads on, stay; the old key is refused."""

import pytest

from tests.factories import BOOTSTRAP_KEY
from tests.support.service import ApiClient, run_service

pytestmark = pytest.mark.any_database
BODY = {"url": "https://example.com/oms/events", "event_types": ["trade.*"]}
KEYS = ["first-key-of-the-bot-" + "a" * 30, "second-key-of-the-bot-" + "b" * 30]


def register_key(service, key):
    return ApiClient(service, 1, key).put("/webhooks/by-name/slack-bot", BODY)


def test_webhook_of_the_bot_survives_a_new_key_and_the_old_one_is_refused(database_url):
    with run_service(database_url, oms_bot_key=KEYS[0]) as service:
        created = register_key(service, KEYS[0])
        assert created.status_code == 201, created.text
        trade = ApiClient(service, 1, BOOTSTRAP_KEY).record_trade()
    with run_service(database_url, oms_bot_key=KEYS[1]) as service:
        assert register_key(service, KEYS[0]).status_code == 401
        repeated_response = register_key(service, KEYS[1])
        assert (repeated_response.status_code, repeated_response.json()["id"]) == (200, created.json()["id"])
        events = ApiClient(service, 1, KEYS[1]).get("/events", type="trade.*").json()
        assert trade["trade_id"] in str(events)
