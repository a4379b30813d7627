"""Webhooks and events in the database."""

URL = "http://127.0.0.1:9999/hook"


def create_webhook(tenant, url=URL, types=("*",)):
    response = tenant.post("/webhooks", {"url": url, "event_types": list(types)})
    assert response.status_code == 201, response.text
    return response.json()


def list_trade_events(endpoints, url=URL):
    return [item["data"]["trade_id"] for item in endpoints.events(url) if item["type"] == "trade.recorded"]
