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
    ORDER_KEY, 1000.0, "T1", "U1", "C1", "req-1", "BUY 50 MSFT in Growth", PendingState.UNKNOWN
)
