"""Exits of positions: requests and their orders."""

EXIT_TERMS = {"take_profit": {"limit_price": "120"}, "stop_loss": {"stop_price": "80"}}


def list_exits(api, order):
    return {leg["role"]: leg for leg in api.get_order(order["id"])["legs"]}


def list_exit_leaves(api, order):
    """Return the leaves quantities of the take-profit and the stop-loss."""
    return tuple(list_exits(api, order)[role]["leaves_quantity"] for role in ("take_profit", "stop_loss"))


def get_held_quantity(api):
    return api.get_portfolio()["positions"]["AAPL"]["quantity"]


def get_leg(harness, entry, role):
    legs = [harness.get_order(entry._replace(id=row[0])) for row in harness.query("SELECT id FROM orders")]
    return next(leg for leg in legs if (leg.parent_id, leg.role) == (entry.id, role))


SHORT_EXIT_TERMS = {"take_profit": {"limit_price": "80"}, "stop_loss": {"stop_price": "120"}}
