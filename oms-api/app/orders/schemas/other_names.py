"""Field names of other brokers' APIs, with a hint for the name to use here. The API rejects them."""

from collections.abc import Mapping

_FIELDS_BY_OTHER_NAME = {
    "qty": "quantity",
    "order_type": "type",
    "transaction_type": "side",
    "tradingsymbol": "symbol",
    "ticker": "symbol",
    "price": "limit_price",
    "trigger_price": "stop_price",
    "trail_price": "trail_amount",
    "validity": "time_in_force",
    "tif": "time_in_force",
    "portfolio": "portfolio_name",
    "account": "portfolio_name",
    "squareoff": "take_profit",
    "stoploss": "stop_loss",
}
_HINTS_BY_OTHER_NAME = {
    "order_class": "Leave it out. take_profit and stop_loss make a bracket, POST /orders:group a group.",
    "trail": "Send it as trail_amount or trail_percent.",
    "trailing_stoploss": "Send an order of type TRAILING_STOP with trail_amount.",
    "validity_ttl": "Send time_in_force GTD with expires_at.",
    "tag": "Send it as strategy or client_order_id.",
    "exchange": "Leave it out. PUT /instruments/{symbol} sets the exchange of a symbol.",
    "variety": "Leave it out. take_profit and stop_loss make a bracket.",
    "disclosed_quantity": "Leave it out. All of an order is shown.",
    "percentage": "Send quantity.",
}
OTHER_NAMES: Mapping[str, str] = {
    **{name: f"Did you mean `{field}`?" for name, field in _FIELDS_BY_OTHER_NAME.items()},
    **_HINTS_BY_OTHER_NAME,
}
OTHER_FILTERS: Mapping[str, str] = {
    "symbols": "Send one symbol.",
    "after": "Did you mean `from`?",
    "until": "Did you mean `to`?",
    "direction": "Leave it out. The newest come first.",
    "nested": "Leave it out. Legs are always shown in their order.",
    "portfolio_name": "Did you mean `portfolio`?",
    "user_id": "Did you mean `user`?",
}
