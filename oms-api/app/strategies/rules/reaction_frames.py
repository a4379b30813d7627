"""Inputs and reactions of a strategy as JSON values, between the host and the process of the strategy.

The data of the process is not trusted. Order ids are not sent: both sides derive them from the input. The
host sets the name of the strategy. The actions are the commands of backtests, without a time.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from app.backtests.errors import InvalidCommand
from app.backtests.rules.commands import (
    CommandKind,
    StrategyCommand,
    pack_cancellation,
    pack_replacement,
    pack_submission,
    parse_command,
)
from app.orders.rules.order_views import OrderChanges
from app.orders.rules.tickets import list_ticket_errors
from app.orders.rules.values import Ticket
from app.sandbox.errors import InvalidFrame
from app.strategies.errors import MessageLimitExceeded
from app.strategies.rules.actions import Action, CancelAction, PlaceAction, Reaction, ReplaceAction
from app.strategies.rules.journal import InputKind, JournalInput
from app.text import replace_unprintable

MAX_ACTIONS = 1_000  # after one input
MAX_STATE_BYTES = 1_000_000
_PRODUCTS = frozenset({"", "CNC", "MIS", "NRML"})
_NO_TIME = 0


class ActionScope(NamedTuple):
    """The names that a strategy's orders may contain: its own and its symbols. `prefix` begins their ids."""

    strategy: str
    symbols: Mapping[str, None]
    prefix: str


def pack_input(journal_input: JournalInput) -> dict[str, Any]:
    """Return an input as JSON values."""
    return {**journal_input._asdict(), "kind": str(journal_input.kind), "at": journal_input.at.isoformat()}


def parse_input(fields: Mapping[str, Any]) -> JournalInput:
    """Return the input of `pack_input`."""
    values = {name: fields[name] for name in JournalInput._fields}
    at = datetime.fromisoformat(fields["at"])
    kind = InputKind(fields["kind"])
    return JournalInput(**{**values, "at": at, "kind": kind})


def pack_reaction(sequence: int, reaction: Reaction) -> dict[str, Any]:
    """Return the reaction to the input `sequence` as JSON values."""
    actions = list(map(_pack_action, reaction.actions))
    return {"sequence": sequence, "actions": actions, "state": reaction.state}


def parse_reaction(fields: Mapping[str, Any], sequence: int, scope: ActionScope) -> Reaction:
    """Return the reaction to an input. Raises InvalidFrame, and MessageLimitExceeded for too many actions."""
    actions, state = fields.get("actions"), fields.get("state")
    if fields.get("sequence") != sequence or not isinstance(actions, list) or not isinstance(state, str):
        raise InvalidFrame("The strategy process sent a message that is not a reaction to its input.")
    if len(actions) > MAX_ACTIONS:
        raise MessageLimitExceeded(
            f"The strategy sent {len(actions)} order commands at once; at most {MAX_ACTIONS} are allowed."
        )
    try:
        parsed_actions = _parse_actions(actions, scope)
    except InvalidCommand as error:
        raise InvalidFrame(f"The strategy process sent an invalid command: {error}.") from None
    _require_state(state)
    return Reaction(tuple(parsed_actions), state)


def _pack_action(action: Action) -> list[Any]:
    if isinstance(action, PlaceAction):
        return pack_submission(_NO_TIME, action.ticket)
    if isinstance(action, CancelAction):
        return pack_cancellation(_NO_TIME, action.order_id)
    return pack_replacement(_NO_TIME, action.order_id, action.changes)


def _parse_actions(actions: Sequence[object], scope: ActionScope) -> list[Action]:
    """Return the actions. New orders are numbered as the process of the strategy numbers them."""
    parsed_actions = list[Action]()
    count = 0
    for fields in actions:
        command = parse_command(fields, scope.symbols)
        count += command.kind is not CommandKind.CANCEL
        parsed_actions.append(_build_action(command, f"{scope.prefix}-{count}", scope))
    return parsed_actions


def _build_action(command: StrategyCommand, new_id: str, scope: ActionScope) -> Action:
    if command.ticket is not None:
        return PlaceAction(_complete_ticket(command.ticket, new_id, scope))
    if not command.order_id.isascii():
        raise InvalidCommand("an order id is wrong")
    if command.kind is CommandKind.CANCEL:
        return CancelAction(command.order_id)
    quantity, limit, stop = (command.changes[name] for name in ("quantity", "limit_price", "stop_price"))
    return ReplaceAction(command.order_id, OrderChanges(quantity, limit, stop, client_order_id=new_id))


def _complete_ticket(ticket: Ticket, new_id: str, scope: ActionScope) -> Ticket:
    """Return a ticket with the fields that the host sets. Raises InvalidCommand."""
    if errors := list_ticket_errors(ticket):
        raise InvalidCommand(f"{errors[0].field}: {errors[0].message}")
    if ticket.product not in _PRODUCTS:
        raise InvalidCommand("its product is unknown")
    reason = ticket.reason and replace_unprintable(ticket.reason)
    return ticket._replace(client_order_id=new_id, strategy=scope.strategy, reason=reason)


def _require_state(state: str) -> None:
    """Raise InvalidFrame unless a state can be stored, and given to the strategy at its next start."""
    if len(state) > MAX_STATE_BYTES:
        raise InvalidFrame(
            f"The state of the strategy has {len(state)} bytes; at most {MAX_STATE_BYTES} are allowed."
        )
    try:
        saved = orjson.loads(state)
        orjson.dumps([[saved]])  # it is stored inside of other values
    except (ValueError, TypeError):
        raise InvalidFrame("The strategy process sent a state that is not JSON.") from None
    if not isinstance(saved, dict) or saved.keys() != {"state", "account", "orders"}:
        raise InvalidFrame(
            "The strategy process sent a state whose fields are not `state`, `account` and `orders`."
        )
