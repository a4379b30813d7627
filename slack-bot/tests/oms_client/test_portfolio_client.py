"""Responses of the OMS that cannot be read are errors of the OMS."""

import json
from typing import Any

import httpx
import pytest

from app.errors import OmsError, OutcomeUnknown
from app.oms_client.person import Person
from app.oms_client.portfolio_client import PortfolioClient


class StubOms:
    """Return the same JSON for each request."""

    def __init__(self, body: Any) -> None:
        self.body = body

    def read(self, *_: Any, **__: Any) -> Any:
        return self.body

    def write(self, *_: Any, **__: Any) -> httpx.Response:
        return httpx.Response(200, content=json.dumps(self.body))


def create_client(body: Any) -> PortfolioClient:
    return PortfolioClient(StubOms(body), Person("T1", "U1"), "req-1")  # type: ignore[arg-type]


@pytest.mark.parametrize("body", [None, 5, [{"name": "zerodha"}], ["zerodha"]])
def test_broker_connections_in_an_unknown_format_are_an_error(body):
    with pytest.raises(OmsError, match="broker connections that cannot be read"):
        create_client(body).list_broker_logins()


@pytest.mark.parametrize("body", [None, [], {"login_url": "https://example.com"}])
def test_outcome_of_a_log_in_is_unknown_if_the_response_is(body):
    with pytest.raises(OutcomeUnknown, match="broker session in an unknown format"):
        create_client(body).create_broker_session("zerodha", "token", idempotency_key="k1")
