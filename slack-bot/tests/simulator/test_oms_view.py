"""The view of the OMS: working orders and positions of a person."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from typing_extensions import override

from simulator import config
from simulator.config import Settings
from simulator.errors import ConfigError
from simulator.oms_view import ORDER_FIELDS, POSITION_FIELDS, group_child_orders
from simulator.server import Server
from tests.fakes import FakeServer as Fake
from tests.fakes import Request, Response
from tests.simulator.doubles import SECRET, TOKEN, Page

KEY = "desk-key-for-tests-0123456789abcdef"
GOOD = {"SLACK_BOT_TOKEN": TOKEN, "SLACK_SIGNING_SECRET": SECRET, "BOT_URL": "http://127.0.0.1:9"}


def build_order(order_id, parent_id=None, **more):
    row = dict.fromkeys(ORDER_FIELDS) | {"symbol": "AAPL", "side": "BUY", "status": "ACCEPTED"}
    return row | {"id": order_id, "parent_id": parent_id, "portfolio_name": "Growth"} | more


class FakeOms(Fake):
    """An OMS that returns the given orders and positions."""

    def __init__(self) -> None:
        self.rows: dict[str, list[dict[str, object]]] = {"orders": [], "positions": [], "portfolios": []}
        super().__init__()

    @override
    def name_of(self, call: Request) -> str:
        return call.path.removeprefix("/api/v1/")

    @override
    def build_default_response(self, call: Request) -> Response:
        return Response(body=self.rows.get(self.name_of(call), {"day_pnl": "-12.50"}))


@pytest.fixture
def oms() -> Iterator[FakeOms]:
    fake = FakeOms()
    yield fake
    fake.stop()


@pytest.fixture
def page(oms, bot, tmp_path) -> Iterator[Page]:
    settings = Settings(TOKEN, SECRET, bot.url, port=0, oms_api_url=oms.url, oms_api_key=KEY)
    server = Server(replace(settings, manifest=tmp_path / "none.json"))
    thread = threading.Thread(target=server.run)
    thread.start()
    yield Page(server.url)
    server.close()
    thread.join(60)


def get_oms_view(page, user="ava"):
    status, response = page.get(f"/control/desk?user={user}")
    assert status == 200, response
    return response


def test_oms_view_shows_working_orders_and_positions(page, oms):
    oms.rows["orders"] = [build_order("O1", type="LIMIT", limit_price="170.00", filled_quantity="3")]
    oms.rows["positions"] = [{"symbol": "AAPL", "mark": "171.00", "unrealized_pnl": "3.00"}]
    oms.rows["portfolios"] = [{"portfolio_name": "Growth", "base_currency": "USD", "cash": "982500.00"}]
    oms_view = get_oms_view(page)
    assert oms_view["problem"] == ""
    assert oms_view["portfolios"] == [{**oms.rows["portfolios"][0], "day_pnl": "-12.50"}]
    assert (
        oms.list_requests("portfolio/Growth")[0].headers["x-on-behalf-of"] == "slack:T0DESK00001:U0AVACHEN01"
    )
    assert oms_view["orders"] == oms.rows["orders"]
    assert oms_view["positions"] == [dict.fromkeys(POSITION_FIELDS) | oms.rows["positions"][0]]
    assert page.screen()["has_desk"]


def test_oms_view_has_the_data_of_its_user(page, oms):
    get_oms_view(page, "ava"), get_oms_view(page, "kim")
    persons = [call.headers["x-on-behalf-of"] for call in oms.calls]
    assert persons == ["slack:T0DESK00001:U0AVACHEN01"] * 3 + ["slack:T0PARTNER02:U0KIMPARK05"] * 3
    assert {call.headers["x-api-key"] for call in oms.calls} == {KEY}
    assert oms.list_requests("orders")[0].query["open"] == "true"
    assert oms.list_requests("portfolios")[0].query["detail"] == "true"


def test_page_never_gets_the_key(page, oms):
    for problem in (Response(), Response(403, {"detail": "Not yours."}), Response(drop=True)):
        oms.queue_responses("orders", problem)
        for path in ("/control/desk?user=ava", "/control/state", "/control/state?user=ava", "/control/log"):
            assert KEY not in str(page.get(path))


@pytest.mark.parametrize(
    ("response", "problem"),
    [
        (Response(drop=True), "The OMS does not respond."),
        (Response(403, {"detail": "Disabled."}), "The OMS returned 403: Disabled."),
        (Response(500, ["?"]), "The OMS returned 500."),
        (Response(200, {"detail": None}), "The OMS returned 200."),
    ],
)
@pytest.mark.parametrize("what", ["positions", "portfolios", "portfolio/Growth"])
def test_unreadable_data_is_reported_without_partial_rows(page, oms, response, problem, what):
    oms.rows["orders"] = [build_order("O1")]
    oms.rows["portfolios"] = [{"portfolio_name": "Growth"}]
    oms.queue_responses(what, response)
    assert get_oms_view(page) == {
        "orders": [],
        "positions": [],
        "portfolios": [],
        "more": [],
        "problem": problem,
    }


@pytest.mark.parametrize("what", ["orders", "positions", "portfolios"])
def test_oms_view_names_incomplete_lists(page, oms, what):
    link = {"Link": f'</api/v1/{what}?limit=200&cursor=c>; rel="next"'}
    row = build_order("O1") if what == "orders" else {"symbol": "AAPL", "portfolio_name": "Growth"}
    oms.queue_responses(what, Response(200, [row], link))
    assert get_oms_view(page)["more"] == [what]
    assert get_oms_view(page)["more"] == []


def test_unknown_person_gets_404(page):
    assert page.get("/control/desk?user=mallory")[0] == 404


def test_oms_view_needs_an_oms(server):
    page = Page(server.url)
    assert page.get("/control/desk?user=ava")[0] == 404
    assert not page.screen()["has_desk"]


def test_child_orders_follow_their_parent_and_others_keep_their_place():
    newest_first = [
        build_order("L2", "P"), build_order("L1", "P"), build_order("P"),
        build_order("stray", "gone"), build_order("old"),
    ]  # fmt: skip
    assert [item["id"] for item in group_child_orders(newest_first)] == ["P", "L1", "L2", "stray", "old"]


@pytest.mark.parametrize(
    ("setting", "url"),
    [
        ("http://127.0.0.1:8001/", "http://127.0.0.1:8001"),
        ("oms:8001", "http://oms:8001"),
        ("localhost", "http://localhost"),
        ("oms.example.com", "https://oms.example.com"),
    ],
)
def test_address_is_parsed_like_in_the_bot(setting, url):
    settings = config.load(GOOD | {"OMS_API_URL": setting, "OMS_API_KEY": KEY})
    assert settings.oms_api_url == url
    assert KEY not in repr(settings)


@pytest.mark.parametrize("alone", [{"OMS_API_URL": "http://127.0.0.1:1"}, {"OMS_API_KEY": KEY}])
def test_oms_view_needs_both_address_and_key(alone):
    settings = config.load(GOOD | alone)
    assert settings.oms_api_url == ""
    assert settings.oms_api_key == ""


def test_invalid_address_is_named():
    with pytest.raises(ConfigError, match="OMS_API_URL"):
        config.load(GOOD | {"OMS_API_URL": "ftp://oms", "OMS_API_KEY": KEY})
