"""Who may decide on an order that waits for approval."""

from collections.abc import Iterable

import orjson

from app.identity.queries.people import find_key_creator, list_person_names
from app.ledger.service.commands import Origin
from app.orders.errors import NotAnApprover, OwnOrder
from app.orders.rules import approvals as rules
from app.orders.rules.approvals import ApprovalRequest, Decider
from app.orders.rules.values import Order
from app.orders.service.batch.batch_context import BatchContext


def find_decider(context: BatchContext, origin: Origin, role: str | None) -> Decider:
    """Return the caller with all names of the person, since `approvers` may contain any of them."""
    key = (origin.tenant_id, origin.actor or "")
    if key not in context.loaded.person_names:
        context.loaded.person_names[key] = list_person_names(context.connection, *key)
    return Decider(context.loaded.person_names[key], role)


def require_decider(context: BatchContext, order: Order, request: ApprovalRequest, decider: Decider) -> None:
    """Raise OwnOrder or NotAnApprover if the person may not decide on the order."""
    load_key_creators(context, [order])
    creator = None if order.actor else context.loaded.key_creators[order.tenant_id, order.source]
    if rules.is_own(order, request, decider, creator):
        raise OwnOrder(order.id)
    if not rules.is_approver(request, decider):
        raise NotAnApprover(order.id, ", ".join(orjson.loads(request.approvers)))


def load_key_creators(context: BatchContext, orders: Iterable[Order]) -> None:
    """Load who created the API keys that placed orders for no person."""
    for key in {(order.tenant_id, order.source) for order in orders if not order.actor}:
        if key not in context.loaded.key_creators:
            context.loaded.key_creators[key] = find_key_creator(context.connection, *key)
