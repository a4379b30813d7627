import inspect

import pytest

from app.errors import NotPlaced, OmsError, OmsForbidden, OutcomeUnknown
from app.oms_client import OmsClient, Person
from tests import factories
from tests.fakes import Response

AVA = Person("T1", "U1")
OTHER_TRADES = [
    Response(body={"a": 1}),
    Response(body=[{"no": "trade"}]),
    Response(body=[3]),
    Response(body=b"x"),
    Response(500),
]


@pytest.fixture
def client(oms):
    client = OmsClient(factories.build_settings(oms_url=oms.url), write_seconds=60.0, read_seconds=60.0)
    yield client
    client.close()


@pytest.fixture
def impatient_client(oms):
    """Provide a client that waits 0.4 s for a response."""
    client = OmsClient(factories.build_settings(oms_url=oms.url), write_seconds=0.4)
    yield client
    oms.released.set()
    client.close()


def place_trade(client):
    return client.place(AVA, factories.build_ticket(), key="T1:V1:0", request_id="req-1")


def test_trade_is_recorded_once_and_a_repeat_is_recognized(client, oms):
    first, second = place_trade(client), place_trade(client)
    assert not first.is_repeat
    assert second.is_repeat
    assert first.trade == second.trade
    assert client.find_trade(AVA, "T1:V1:0", request_id="req-1") == first.trade
    assert client.get_last_price(AVA, "AAPL", request_id="req-1") == first.trade.price
    traces = [call.headers["traceparent"].split("-") for call in oms.list_requests("place")]
    assert traces[0][1] == traces[1][1]
    assert traces[0][2] != traces[1][2]


def test_symbol_without_trades_has_no_price(client):
    assert client.get_last_price(AVA, "AAPL", request_id="req-1") is None
    assert client.find_trade(AVA, "T1:V1:0", request_id="req-1") is None


def test_refused_connection_is_not_placed(client, oms):
    oms.stop()
    with pytest.raises(NotPlaced):
        place_trade(client)


@pytest.mark.parametrize("trouble", [Response(slow=60.0), Response(drop=True)])
def test_lost_response_is_unknown_and_not_sent_again(impatient_client, oms, trouble):
    oms.queue_responses("place", trouble)
    with pytest.raises(OutcomeUnknown):
        place_trade(impatient_client)
    assert len(oms.wait_for("place")) == 1


@pytest.mark.parametrize("response", OTHER_TRADES)
def test_unreadable_list_is_not_a_trade(client, oms, response):
    oms.queue_responses("last_price", response)
    with pytest.raises(OmsError):
        client.get_last_price(AVA, "AAPL", request_id="req-1")


@pytest.mark.parametrize("status", [401, 403])
def test_refused_api_key_is_reported(client, oms, status):
    oms.queue_responses("last_price", Response(status))
    with pytest.raises(OmsForbidden, match="key"):
        client.get_last_price(AVA, "AAPL", request_id="req-1")


def test_every_call_requires_a_person():
    questions = {
        name: inspect.signature(each)
        for name, each in vars(OmsClient).items()
        if name[0] != "_" and callable(each)
    }
    for_nobody = {name for name, signature in questions.items() if "person" not in signature.parameters}
    assert for_nobody == {
        "is_ready",
        "close",
        "claim_workspace",
        "call_as_bot",
        "read_as_bot",
        "download_as_bot",
    }
    persons = [
        signature.parameters["person"] for name, signature in questions.items() if name not in for_nobody
    ]
    assert all(
        person.annotation is Person and person.default is inspect.Parameter.empty for person in persons
    )


NO_IDS = [("", "U1"), ("T1", ""), ("T1", "u1"), ("T1:U2", "U1"), ("T1", "Ü1")]


@pytest.mark.parametrize(("team", "user"), NO_IDS)
def test_only_slack_user_ids_identify_a_person(team, user):
    with pytest.raises(ValueError, match="id"):
        Person(team, user)
