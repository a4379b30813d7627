"""What other brokers' interfaces call the fields of a ticket: refused, and told how to say it here."""

from collections.abc import Mapping

_SAME = {
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
_OTHERWISE = {
    "order_class": "leave it out. take_profit and stop_loss make a bracket, POST /orders:group an OCO or OTO",
    "trail": "send it as trail_amount or trail_percent",
    "trailing_stoploss": "send an order of type TRAILING_STOP with trail_amount",
    "validity_ttl": "send time_in_force GTD with expires_at",
    "tag": "send it as strategy or client_order_id",
    "exchange": "leave it out. PUT /instruments/{symbol} tells where a symbol is listed",
    "variety": "leave it out. take_profit and stop_loss make a bracket",
    "disclosed_quantity": "leave it out. All of an order is shown",
    "percentage": "send quantity",
}
OTHER_NAMES: Mapping[str, str] = {
    **{name: f"send it as {ours}" for name, ours in _SAME.items()},
    **_OTHERWISE,
}
OTHER_FILTERS: Mapping[str, str] = {
    "symbols": "send one symbol",
    "after": "send it as from",
    "until": "send it as to",
    "direction": "leave it out. The newest come first",
    "nested": "leave it out. Legs are always shown in their order",
    "portfolio_name": "send it as portfolio",
    "user_id": "send it as user",
}
