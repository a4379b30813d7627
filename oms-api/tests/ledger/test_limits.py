"""The limits of one trade, which are settings."""

import pytest

pytestmark = pytest.mark.any_database


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"quantity": "1000000.00000001", "gmv": "1000000"}, "quantity", "too_large"),
        ({"quantity": "1000000", "gmv": "100000000.01"}, "gmv", "too_large"),
        ({"quantity": "1000000", "gmv": None, "price": "100.01"}, "price", "too_large"),
        ({"quantity": "1", "gmv": None, "price": "1000000.00000001"}, "price", "price_out_of_range"),
        ({"quantity": "1", "gmv": "1000000.00000001"}, "gmv", "price_out_of_range"),
        ({"quantity": "1000", "gmv": "0.00000001"}, "gmv", "price_out_of_range"),
        ({"quantity": "0.1", "gmv": None, "price": "0.00000001"}, "price", "value_too_small"),
    ],
)
def test_trade_beyond_a_limit_is_rejected_by_field(api, changes, field, code):
    response = api.post_trade(**changes)
    assert response.status_code == 422
    assert [(bad["field"], bad["code"]) for bad in response.json()["errors"]] == [(field, code)]


@pytest.mark.parametrize(
    "changes",
    [
        {"quantity": "1000000", "gmv": "100000000"},
        {"quantity": "1", "gmv": None, "price": "1000000"},
        {"quantity": "1", "gmv": None, "price": "0.00000001"},
        {"quantity": "0.00000001", "gmv": "0.01"},
    ],
)
def test_trade_at_a_limit_is_accepted(api, changes):
    assert api.post_trade(**changes).status_code == 201


def test_trade_limits_are_configurable(serve):
    with serve(max_quantity="10", max_gmv="1000", min_price="5", max_price="150") as service:
        api = service.create_client()
        assert api.post_trade(quantity="10", gmv="1000").status_code == 201
        for changes in (
            {"quantity": "11", "gmv": "1000"},
            {"quantity": "10", "gmv": "1000.01"},
            {"quantity": "1", "gmv": "4.99"},
            {"quantity": "1", "gmv": "150.01"},
        ):
            assert api.post_trade(**changes).status_code == 422
