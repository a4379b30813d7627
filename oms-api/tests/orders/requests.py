"""Requests about orders, limits and kill switches."""

GTC = {"time_in_force": "GTC"}
RESTING_LIMIT_ORDER = {"type": "LIMIT", "limit_price": "90", **GTC}


def get_denial_code(response):
    assert response.status_code == 422, response.text
    return response.json()["denial"]["code"]


def set_limit(api, code, value):
    response = api.put("/limits", {"scope": "tenant", "code": code, "value": value})
    assert response.status_code == 200, response.text


def post_group(api, kind, *orders):
    base = {"portfolio_name": "Growth", "symbol": "AAPL", "quantity": "10", **GTC}
    return api.post("/orders:group", {"kind": kind, "orders": [base | order for order in orders]})


def set_switch(api, state, **fields):
    response = api.post("/kill-switch", {"scope": "tenant", "name": None, "state": state} | fields)
    assert response.status_code == 200, response.text
    return response.json()
