"""What a broker says of an order by itself, now or late: each execution once, whatever the order's state."""

from app.brokers.rules.values import (
    Accepted,
    Canceled,
    Executed,
    Lapsed,
    Refused,
    Rejected,
    Replaced,
    TrailMoved,
    Triggered,
)
from app.ledger.errors import BookIsFull, NoRate
from app.orders.errors import IllegalMove
from app.orders.queries import book as queries
from app.orders.rules.states import resting_status
from app.orders.rules.values import Order, Status
from app.orders.service.commands import BrokerReport, Done
from app.orders.service.filling import book_fill
from app.orders.service.groups import end
from app.orders.service.judging import note_execution
from app.orders.service.placing import shown
from app.orders.service.scene import Scene
from app.orders.service.trading import meet_arrivals

_PENDING = frozenset({Status.PENDING_CANCEL, Status.PENDING_REPLACE})


def broker_said(scene: Scene, command: BrokerReport) -> Done:
    """Do what a broker's event says. What the table of states has no move for is written down, and changes
    nothing.
    """
    order = scene.blotter.get(command.tenant_id, command.order_id)
    try:
        _apply(scene, order, command)
        meet_arrivals(scene, command.at)
    except (IllegalMove, BookIsFull, NoRate) as refusal:
        words = f"{type(command.event).__name__}: {refusal.detail}"
        scene.blotter.note(order, command.at, order.broker, reason="not applied", broker_words=words)
    return shown(scene, order.tenant_id, [order.id])


def _apply(scene: Scene, order: Order, command: BrokerReport) -> None:  # noqa: C901  # a table of events
    at, event, blotter = command.at, command.event, scene.blotter
    match event:
        case Executed():
            if not _is_known(scene, order, event):
                book_fill(scene, order, event, at)
                note_execution(scene, order, at)
        case Accepted():
            blotter.move(order, Status.ACCEPTED, at, order.broker, accepted_at=at)
        case Triggered():
            blotter.move(order, Status.TRIGGERED, at, order.broker, is_triggered=True)
        case TrailMoved():
            blotter.replace(order, trail_level=event.level)
        case Canceled():
            end(scene, order, Status.CANCELED, at, order.broker)
        case Lapsed():
            end(scene, order, Status.CANCELED, at, order.broker, broker_words=event.reason)
        case Rejected():
            end(scene, order, Status.REJECTED, at, order.broker, broker_words=event.reason)
        case Refused() if order.status in _PENDING:
            back = resting_status(order.filled_quantity, is_triggered=order.is_triggered)
            blotter.move(order, back, at, order.broker, broker_words=event.reason)
        case Refused():
            raise IllegalMove(order.id, order.status, "a refused request")
        case Replaced():
            raise IllegalMove(order.id, order.status, Status.REPLACED)  # paper replaces within the request


def _is_known(scene: Scene, order: Order, event: Executed) -> bool:
    key = (order.tenant_id, order.broker, event.execution_id)
    here = {(row.tenant_id, row.broker, row.execution_id) for row in scene.blotter.executions}
    return key in here or bool(queries.known_executions(scene.connection, [key]))
