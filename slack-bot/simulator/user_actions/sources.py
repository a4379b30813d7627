"""The surface that contains an element: a form, a home tab, or a message."""

from dataclasses import dataclass
from typing import Any

from simulator import payloads
from simulator.blockkit import values
from simulator.blockkit.surfaces import Block, list_interactive
from simulator.errors import ActError
from simulator.messages import Message
from simulator.payloads import Payload
from simulator.user_actions.actor import Actor
from simulator.views import View
from simulator.workspace import Channel

MAX_STORED_OPTIONS = 300


@dataclass(frozen=True)
class Source:
    """A view, or a message in its channel, and the person who uses it."""

    actor: Actor
    view: View | None
    channel: Channel | None
    message: Message | None

    @property
    def blocks(self) -> list[Block]:
        """The blocks of the surface."""
        return self.view.blocks if self.view else self._message.blocks

    @property
    def state(self) -> values.Values:
        """The current values. Changes to it are stored."""
        if self.view:
            return self.view.values
        start = values.initial_values(self.blocks)
        return self._message.values.setdefault(self.actor.person.id, start)

    @property
    def _message(self) -> Message:
        if self.message is None:
            raise ActError("Say which form or message.")
        return self.message

    def find(self, block_id: str | None, action_id: str) -> tuple[Block, Block]:
        """Return the block and the element with those ids. Without a block id, return the first match."""
        for block, element in list_interactive(self.blocks):
            if element.get("action_id") == action_id and block_id in (None, block["block_id"]):
                return block, element
        raise ActError(f"There is nothing here with the action id {action_id}.", 404)

    def fill_in(self, values_by_block: dict[str, dict[str, Any]]) -> None:
        """Set values by block id and action id."""
        for block_id, actions in values_by_block.items():
            for action_id, value in actions.items():
                block, element = self.find(block_id, action_id)
                self.set(block, element, value)

    def set(self, block: Block, element: Block, value: Any) -> dict[str, Any]:
        """Set the value of an element. Return its state."""
        if element["type"] not in values.STATE_KEYS:
            raise ActError(f"{element['action_id']} is a {element['type']} and holds no value.")
        state = values.build_state(element, value, self._get_options(block, element))
        self.state.setdefault(block["block_id"], {})[element["action_id"]] = state
        return state

    def store_options(self, block: Block, element: Block, options: list[Block]) -> None:
        """Store options that the bot suggested, so that they can be chosen."""
        offered = self._get_options(block, element)
        offered[:] = (offered + [option for option in options if option not in offered])[-MAX_STORED_OPTIONS:]

    def action(self, action: Payload, trigger_id: str) -> Payload:
        """Return the payload of an action."""
        if self.view:
            return payloads.view_action(self.actor.person, self.view, action, trigger_id)
        channel, message = self._get_channel_and_message()
        path = self.actor.workspace_state.response_urls.issue(channel.id, self.actor.person.id, message.ts)
        url = self.actor.workspace_state.base_url + path
        person = self.actor.person
        return payloads.build_message_action(
            person, channel, message, action, trigger_id=trigger_id, response_url=url
        )

    def build_options_request(self, request: Payload) -> Payload:
        """Return the payload that requests options."""
        if self.view:
            return payloads.view_options(self.actor.person, self.view, request)
        return payloads.build_message_options(self.actor.person, *self._get_channel_and_message(), request)

    def _get_channel_and_message(self) -> tuple[Channel, Message]:
        if self.channel is None or self.message is None:
            raise ActError("Say which form or message.")
        return self.channel, self.message

    def _get_options(self, block: Block, element: Block) -> list[Block]:
        offered_by_element = self.view.offered if self.view else self._message.offered
        return offered_by_element.setdefault((block["block_id"], element["action_id"]), [])


def find_source(actor: Actor, view_id: str | None, channel: str | None, ts: str | None) -> Source:
    """Return the message with ``ts`` in ``channel``, else the view with that id, else the top form."""
    if ts and channel:
        message_channel = actor.channel(channel)
        return Source(actor, None, message_channel, actor.message(message_channel, ts))
    return Source(actor, actor.view(view_id), None, None)
