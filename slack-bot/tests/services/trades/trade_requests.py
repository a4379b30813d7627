"""Trades that the bot sends to the OMS."""

TRADE_REQUEST = {
    "symbol": "AAPL", "quantity": "100", "gmv": "17500",
    "side": "BUY", "portfolio_name": "Growth", "user_id": "U1",
}  # fmt: skip
