"""Carry out the forms that close positions, set exits and cancel orders."""

from decimal import Decimal

from app.blocks.order_forms import ALL, describe_canceled
from app.blocks.position_views import describe_close, describe_exits
from app.errors import InvalidEntries
from app.forms import action_ids
from app.forms.numbers import InvalidAmount, parse_amount
from app.forms.portfolio_values import PositionKey
from app.forms.text_commands import TextCommand, Verb, parse_text_command
from app.forms.ticket import MAX_PRICE, MAX_QUANTITY
from app.services.clients import create_client
from app.services.dependencies import Services
from app.services.forms.submission import FormAction, FormSubmission
from app.services.orders.closes import close_at_market


def close_position(services: Services, submission: FormSubmission) -> tuple[str, str]:
    """Close the chosen position at market. Raises `InvalidEntries` or `OmsError`."""
    key = read_position(submission.entries.get(action_ids.POSITION, ""), action_ids.POSITION)
    quantity = _read_amount(submission, action_ids.QUANTITY, MAX_QUANTITY)
    order = close_at_market(
        services,
        submission.origin,
        key,
        submission.context.channel,
        key=submission.key,
        quantity=quantity,
        reason=submission.entries.get(action_ids.REASON, ""),
    )
    return "Position closed", describe_close(key, order)


def set_exits(services: Services, submission: FormSubmission) -> tuple[str, str]:
    """Set the exits of the position of the form. Raises `InvalidEntries` or `OmsError`."""
    key = read_position(submission.context.subject, action_ids.TAKE_PROFIT)
    target = _read_amount(submission, action_ids.TAKE_PROFIT, MAX_PRICE)
    stop = _read_amount(submission, action_ids.STOP_LOSS, MAX_PRICE)
    orders = create_client(services, submission.origin).set_exits(
        key, target, stop, idempotency_key=submission.key
    )
    return "Exits set", describe_exits(key, orders)


def cancel_orders(services: Services, submission: FormSubmission) -> tuple[str, str]:
    """Cancel one order, or all orders that the command named. Raises `InvalidEntries` or `OmsError`."""
    chosen = submission.entries.get(action_ids.ORDERS, "")
    if not chosen:
        raise InvalidEntries({action_ids.ORDERS: "Choose what to cancel."})
    command = TextCommand(Verb.CANCEL, order_id=chosen)
    if chosen == ALL:
        command = parse_text_command(submission.context.subject, services.now())
    orders = create_client(services, submission.origin).cancel_orders(
        command, submission.entries.get(action_ids.REASON, ""), idempotency_key=submission.key
    )
    return "Orders canceled", describe_canceled(orders)


def read_position(text: str, block_id: str) -> PositionKey:
    """Return the position that an option or a form names. Raises `InvalidEntries`."""
    try:
        return PositionKey.load(text)
    except ValueError:
        raise InvalidEntries({block_id: "Choose a position."}) from None


def _read_amount(submission: FormSubmission, block_id: str, largest: Decimal) -> Decimal | None:
    typed = submission.entries.get(block_id, "")
    if not typed:
        return None
    try:
        return parse_amount(typed, largest)
    except InvalidAmount as error:
        raise InvalidEntries({block_id: str(error)}) from None


CLOSE = FormAction(close_position, "closing positions")
EXITS = FormAction(set_exits, "setting exits")
CANCEL = FormAction(cancel_orders, "canceling orders")
