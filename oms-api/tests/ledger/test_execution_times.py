"""POST /trade with `executed_at`: the time of the execution differs from the time of recording."""

from datetime import datetime, timedelta

import pytest

from app.clock import utc_now
from app.timestamps import format_timestamp
from tests.factories import build_trade_body

pytestmark = pytest.mark.any_database

MORNING, NOON, EVENING = (f"2026-01-02T{hour}:00:00.000000Z" for hour in ("09", "12", "18"))
LATE = {"backdated": True, "backdated_reason": "Missing from the broker's first file"}


@pytest.fixture(scope="module")
def service(verified_service):
    """Provide a service whose database is verified after the last test."""
    return verified_service


def get_refused_field(response):
    assert response.status_code == 422, response.text
    (error,) = response.json()["errors"]
    return error["field"]


def test_trade_response_contains_the_execution_time(api):
    trade = api.record_trade(executed_at="2026-01-02T13:00:00+01:00")
    assert (trade["executed_at"], trade["timestamp"], trade["backdated_reason"]) == (NOON, NOON, None)
    assert trade["created_at"] > NOON
    assert api.list_trades() == [trade]
    assert api.get(f"/trades/{trade['trade_id']}").json() == trade
    [event] = api.get("/events", type="trade.recorded").json()
    assert event["data"]["executed_at"] == NOON
    (body,) = api.get("/positions").json()
    assert body["opened_at"] == NOON


def test_execution_time_defaults_to_the_recording_time(api):
    trade = api.record_trade()
    assert trade["executed_at"] == trade["created_at"]


@pytest.mark.parametrize(("seconds", "status"), [(50, 201), (70, 422)])
def test_execution_time_is_at_most_one_minute_ahead(api, seconds, status):
    response = api.post_trade(executed_at=format_timestamp(utc_now() + timedelta(seconds=seconds)))
    assert response.status_code == status
    if status == 422:
        assert get_refused_field(response) == "executed_at"


def test_trade_without_a_time_is_recorded_after_one_from_a_clock_ahead(api):
    ahead = api.record_trade(executed_at=format_timestamp(utc_now() + timedelta(seconds=50)))
    assert api.record_trade()["executed_at"] < ahead["executed_at"]


def test_trade_earlier_than_the_previous_one_is_rejected_with_its_time(api):
    api.record_trade(executed_at=NOON)
    response = api.post_trade(executed_at=MORNING)
    assert get_refused_field(response) == "executed_at"
    assert NOON in response.json()["errors"][0]["message"]
    assert len(api.list_trades()) == 1
    assert api.record_trade(executed_at=NOON)["sequence"] == 2
    assert api.record_trade(executed_at=EVENING)["sequence"] == 3


@pytest.mark.parametrize("change", [{"symbol": "MSFT"}, {"portfolio_name": "Other"}])
def test_trade_of_another_position_may_be_earlier(api, change):
    api.record_trade(executed_at=NOON)
    assert api.record_trade(executed_at=MORNING, **change)["executed_at"] == MORNING


def test_order_fill_counts_as_the_previous_trade(api):
    api.set_quote("AAPL", "99", "101", "100")
    api.place_order()
    assert get_refused_field(api.post_trade(executed_at=NOON)) == "executed_at"


def test_backdated_trade_keeps_its_reason_and_recording_sequence(api):
    noon = api.record_trade(executed_at=NOON)
    early = api.record_trade(executed_at=MORNING, **LATE)
    assert (early["executed_at"], early["backdated_reason"]) == (MORNING, LATE["backdated_reason"])
    assert early["sequence"] == 2
    assert api.list_trades() == [early, noon]
    assert (
        get_refused_field(api.post_trade(executed_at="2026-01-02T10:00:00Z")) == "executed_at"
    )  # noon stays the latest
    assert api.get_portfolio(as_of=early["created_at"])["last_sequence"] == 2
    assert api.get_portfolio(as_of=NOON)["last_sequence"] == 0  # as-of reads go by the time of recording


def test_reversed_trade_is_not_the_previous_trade(api):
    api.record_trade(executed_at=MORNING)
    wrong = api.record_trade(executed_at=EVENING)
    assert api.post_reversal(wrong["trade_id"]).status_code == 201
    assert api.record_trade(executed_at=NOON)["sequence"] == 4


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"executed_at": NOON, "backdated": True}, "backdated_reason"),
        ({"executed_at": NOON, "backdated": True, "backdated_reason": " "}, "backdated_reason"),
        ({"executed_at": NOON, "backdated_reason": "Late"}, "backdated"),
        (LATE, "executed_at"),
        ({"executed_at": "2026-01-02T12:00:00"}, "executed_at"),
        ({"executed_at": "yesterday"}, "executed_at"),
        ({"executed_at": 1767355200}, "executed_at"),
        ({"timestamp": NOON}, "timestamp"),
    ],
)
def test_invalid_execution_time_is_rejected_by_field(api, body, field):
    assert get_refused_field(api.post_trade(**body)) == field
    assert api.list_trades() == []


@pytest.mark.parametrize(
    "change",
    [{"executed_at": EVENING}, {"executed_at": None}, LATE],
)
def test_changed_execution_time_under_the_same_key_conflicts(api, change):
    first = api.post_trade("K", executed_at=NOON)
    assert api.post_trade("K", executed_at=NOON).json() == first.json()
    assert api.post_trade("K", executed_at="2026-01-02T12:00:00Z").json() == first.json()
    assert api.post_trade("K", **{"executed_at": NOON, **change}).status_code == 409
    api.post_trade(executed_at=EVENING)
    assert api.post_trade("K", executed_at=NOON).json() == first.json()  # though it is earlier by now


def test_batch_trades_must_not_precede_each_other(api):
    times: list[dict[str, object]] = [
        {"executed_at": NOON},
        {"executed_at": MORNING},
        {"executed_at": MORNING, **LATE},
    ]
    response = api.post("/trades:batch", {"trades": [build_trade_body(**time) for time in times]})
    first, second, third = response.json()["outcomes"]
    assert (first["status"], second["status"], third["status"]) == (201, 422, 201)
    assert second["problem"]["errors"][0]["field"] == "trades.1.executed_at"
    assert datetime.fromisoformat(third["trade"]["executed_at"]) == datetime.fromisoformat(MORNING)


def test_late_reported_trade_is_exported_and_verified(service, api):
    api.record_trade(executed_at=NOON)
    api.record_trade(executed_at=MORNING, **LATE)
    lines = api.get("/trades/export").text.splitlines()
    assert [MORNING in line and LATE["backdated_reason"] in line for line in lines] == [False, True]
