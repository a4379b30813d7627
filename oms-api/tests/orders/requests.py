"""Requests about orders, limits and kill switches."""

GTC = {"time_in_force": "GTC"}
RESTING_LIMIT_ORDER = {"type": "LIMIT", "limit_price": "90", **GTC}


def get_denial_code(answer):
    assert answer.status_code == 422, answer.text
    return answer.json()["denial"]["code"]


def set_limit(api, code, value):
    answer = api.put("/limits", {"scope": "tenant", "code": code, "value": value})
    assert answer.status_code == 200, answer.text


def post_group(api, kind, *orders):
    base = {"portfolio_name": "Growth", "symbol": "AAPL", "quantity": "10", **GTC}
    return api.post("/orders:group", {"kind": kind, "orders": [base | order for order in orders]})


def set_switch(api, state, **fields):
    answer = api.post("/kill-switch", {"scope": "tenant", "name": None, "state": state} | fields)
    assert answer.status_code == 200, answer.text
    return answer.json()
