"""A person who acts, with the parts of the simulator that actions need."""

from dataclasses import dataclass
from typing import Any

from simulator import workspace
from simulator.errors import ActError, SlackError
from simulator.event_queue import EventQueue
from simulator.messages import Message
from simulator.request_delivery import Reply, RequestSender
from simulator.views import View
from simulator.workspace import Channel, Person
from simulator.workspace_state import WorkspaceState

CONNECTION_ERROR = "We had some trouble connecting. Try again?"
Outcome = dict[str, Any]


@dataclass(frozen=True)
class Actor:
    """A person who acts in the workspace."""

    workspace_state: WorkspaceState
    request_sender: RequestSender
    events: EventQueue
    person: Person

    def channel(self, reference: str) -> Channel:
        """Return a channel that this person is in. ``dm`` is the direct message with the bot."""
        try:
            channel = self.workspace_state.channel(self.person.id if reference == "dm" else reference)
        except SlackError:
            raise ActError(f"There is no channel {reference}.", 404) from None
        if self.person.id not in channel.members:
            raise ActError(f"{self.person.name} is not in {reference}.", 403)
        return channel

    def message(self, channel: Channel, ts: str) -> Message:
        """Return a message that this person sees."""
        message = self.workspace_state.messages.find(channel.id, ts)
        if message is None or not message.is_visible_to(self.person.id):
            raise ActError(f"There is no message {ts} in {channel.name}.", 404)
        return message

    def view(self, view_id: str | None) -> View:
        """Return this person's open form or home tab by id, or the top form without an id."""
        views = [*self.workspace_state.views.stack(self.person.id), *self._list_tab_views()]
        selected = (
            next((view for view in views if view.id == view_id), None) if view_id else self._find_top_view()
        )
        if selected is None:
            raise ActError(f"{self.person.name} has no such form open.", 404)
        return selected

    def post_note(self, channel: Channel, text: str) -> None:
        """Post a private message to this person in the name of Slack."""
        self.workspace_state.messages.post(
            channel.id, workspace.SYSTEM_USER_ID, text, only_for=self.person.id
        )

    def record_problem(self, reply: Reply, problem: str) -> None:
        """Record the fault of a response with its delivery."""
        entry = self.workspace_state.request_log.find_delivery(reply.delivery_id)
        if entry is not None:
            entry["problem"] = problem

    def _find_top_view(self) -> View | None:
        return self.workspace_state.views.top(self.person.id)

    def _list_tab_views(self) -> list[View]:
        home = self.workspace_state.views.homes.get(self.person.id)
        return [home] if home else []
