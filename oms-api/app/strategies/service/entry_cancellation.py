"""Cancel the entry orders of a strategy that has stopped."""

from app.database import Readers
from app.identity.rules.access import Caller
from app.identity.rules.authenticated_request import AuthenticatedRequest
from app.orders.queries.open_positions import list_portfolio_names_with_open_orders
from app.orders.service.order_service import OrderService
from app.text import name_key

REASON = "The strategy does not run any more"


async def cancel_entries(
    orders: OrderService, readers: Readers, caller: Caller, strategy: str, request_id: str
) -> None:
    """Cancel the open orders of a strategy that could open or increase a position. Exits stay working."""
    names = await readers.read(caller.tenant_id, list_portfolio_names_with_open_orders, None, strategy)
    request = AuthenticatedRequest(caller, request_id)
    for name in names:
        if caller.can_see(name_key(name)):
            await orders.cancel_all(request, name, strategy=strategy, reason=REASON, keeps_exits=True)
