"""Answers of Kite that are no lists are not understood, instead of empty."""

import pytest

from app.brokers.errors import BrokerUnavailable
from app.brokers.rules.order_reports import MalformedResponse
from app.brokers.zerodha.broker import ZerodhaBroker
from app.brokers.zerodha.client import KiteCredentials
from app.brokers.zerodha.order_reader import ZerodhaOrderReader
from tests.brokers.remote.rest_servers import create_client


@pytest.mark.parametrize("response", [{}, "orders", 7])
def test_response_that_is_not_a_list_is_malformed(response):
    reader = ZerodhaOrderReader(create_client(orders=response, trades=response))
    with pytest.raises(MalformedResponse):
        reader.list_open()
    broker = ZerodhaBroker("http://127.0.0.1:9", KiteCredentials("a", "b", "c"))
    for positions in (response, {"net": response}):
        broker._client = create_client(holdings=[], positions=positions)
        with pytest.raises(BrokerUnavailable):
            broker.list_positions()


def test_day_without_orders_is_empty():
    reader = ZerodhaOrderReader(create_client(orders=None, trades=None))
    assert reader.list_all() == []
