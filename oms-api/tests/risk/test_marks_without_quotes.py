"""Without a quote the mark is the price of the last trade, for risk as for valuations."""

from decimal import Decimal

import pytest

from tests.risk.risk_requests import post_order, put_limit, set_quote

pytestmark = pytest.mark.any_database


@pytest.fixture
def api(serve):
    with serve(price_source="manual") as service:
        yield service.create_client()


@pytest.mark.parametrize("scope", ["portfolio", "tenant"])
def test_exposure_counts_the_last_trade_price(api, scope):
    api.buy("10", "100", symbol="QUIET")
    api.buy("10", "200", symbol="QUIET")  # 20 at an average of 150
    set_quote(api, "AAPL", bid="10", ask="10", last="10")
    name = "Growth" if scope == "portfolio" else None
    assert put_limit(api, "MAX_GROSS_EXPOSURE", "3900", scope, name).status_code == 200
    denial = post_order(api, quantity="1", portfolio_name="Growth")
    assert denial.status_code == 422, denial.text
    if scope == "tenant":
        assert post_order(api, quantity="1", portfolio_name="Other").status_code == 422
    assert put_limit(api, "MAX_GROSS_EXPOSURE", "4010", scope, name).status_code == 200
    assert post_order(api, quantity="1").status_code == 201


def test_buying_power_counts_the_last_trade_price_of_shorts(api):
    api.sell("10", "100", symbol="QUIET")
    api.sell("10", "200", symbol="QUIET")
    body = api.get_portfolio()
    cash = Decimal(body["cash"])
    assert Decimal(body["buying_power"]) == cash - Decimal("1.5") * 20 * 200
    assert Decimal(body["net_exposure"]) == -4000
