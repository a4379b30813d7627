"""Orders whose messages are not sent yet."""

from app.delivery.pending_orders import PendingOrder, PendingState

ORDER_BODY = {
    "portfolio_name": "Growth",
    "symbol": "MSFT",
    "side": "BUY",
    "quantity": "50",
    "type": "MARKET",
}


ORDER_KEY = "T1:V1:0"
PENDING_ORDER = PendingOrder(
    key=ORDER_KEY,
    submitted_at=1000.0,
    team="T1",
    user="U1",
    channel="C1",
    request_id="req-1",
    order_text="BUY 50 MSFT in Growth",
    state=PendingState.UNKNOWN,
)
