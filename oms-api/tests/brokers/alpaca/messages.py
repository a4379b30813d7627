"""Messages as Alpaca sends them."""

ALPACA_ORDER = {
    "id": "7b08df51-c1ac-453c-99f9-323a5f075f0d",
    "client_order_id": "O1",
    "created_at": "2026-11-27T15:00:00.123456789Z",
    "submitted_at": "2026-11-27T15:00:00.123456789Z",
    "updated_at": "2026-11-27T15:00:01Z",
    "symbol": "AAPL",
    "side": "sell",
    "type": "trailing_stop",
    "time_in_force": "gtc",
    "status": "partially_filled",
    "qty": "10",
    "filled_qty": "2.5",
    "limit_price": None,
    "stop_price": "181.45",
    "trail_price": "2",
    "trail_percent": None,
    "replaces": None,
    "replaced_by": None,
}
