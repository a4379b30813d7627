"""Orders at Alpaca that this service cannot express do not hide the others."""

from typing import Any

import pytest

from app.brokers.alpaca import order_reader
from app.brokers.alpaca.broker import AlpacaBroker
from app.brokers.alpaca.linked_orders import LinkedOrders
from app.brokers.alpaca.order_reader import AlpacaOrderReader
from app.brokers.errors import BrokerUnavailable
from app.brokers.rules.order_reports import MalformedResponse
from tests.brokers.alpaca.messages import ALPACA_ORDER
from tests.brokers.remote.rest_servers import create_client
from tests.brokers.standins.alpaca.fixtures import CREDENTIALS

SPREAD = ALPACA_ORDER | {"id": "s1", "client_order_id": "c1", "symbol": "", "side": "", "order_class": "mleg"}


def create_reader(**paths: Any) -> AlpacaOrderReader:
    return AlpacaOrderReader(create_client(**paths), LinkedOrders())


def test_order_of_several_legs_is_left_out_of_lists(monkeypatch):
    warnings = list[str]()
    monkeypatch.setattr(order_reader._LOG, "warning", lambda text, *values: warnings.append(text % values))
    reader = create_reader(orders=[SPREAD, ALPACA_ORDER])
    assert [report.order_id for report in reader.list_open()] == ["O1"]
    assert warnings == ["an order at Alpaca was left out: an order: ValueError"]
    assert create_reader(orders=[SPREAD] * 500).list_open() == []


def test_requested_order_is_never_omitted():
    paths = {"orders:by_client_order_id": ALPACA_ORDER | {"filled_qty": "NaN"}}
    with pytest.raises(MalformedResponse):
        create_reader(**paths).find("O1")


@pytest.mark.parametrize("response", [{}, "orders", 7])
def test_response_that_is_not_a_list_marks_alpaca_unavailable(response):
    broker = AlpacaBroker("http://127.0.0.1:9", CREDENTIALS)
    broker._client = create_client(positions=response)
    with pytest.raises(BrokerUnavailable, match="the positions"):
        broker.list_positions()
    reader = create_reader(orders=response, FILL=response)
    with pytest.raises(MalformedResponse):
        reader.list_open()
    with pytest.raises(MalformedResponse):
        reader.list_fills(broker._now())
