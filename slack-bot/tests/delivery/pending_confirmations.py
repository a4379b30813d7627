"""Trades whose confirmations are not sent yet."""

from app.delivery.confirmation_store import PendingConfirmation

CONFIRMATION = PendingConfirmation(
    key="T1:V1:0", submitted_at=1000.0, team="T1", user="U1", channel="C1", view_id="V1", root_view_id="V1",
    request_id="req-1", order_text="BUY 100 AAPL in Growth", response_url="", response_url_expires_at=0.0,
)  # fmt: skip
