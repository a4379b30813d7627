"""The state of the simulator: in memory, guarded by one lock."""

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from simulator import workspace
from simulator.clock import Clock
from simulator.errors import SlackError
from simulator.faults import Faults
from simulator.files import Files
from simulator.ids import Timestamps
from simulator.installations import Installations
from simulator.manifest import Manifest
from simulator.messages import Messages
from simulator.request_log import RequestLog
from simulator.response_urls import ResponseUrls
from simulator.triggers import Triggers
from simulator.user_groups import UserGroups
from simulator.views import Views
from simulator.workspace import Channel, Person


class WorkspaceState:
    """The workspace and everything that happened in it since the start or the last reset.

    Read and write it inside ``with workspace_state.change()``. At its end, waiting threads are notified.
    """

    def __init__(self, manifest: Manifest, installations: Installations) -> None:
        self.manifest = manifest
        self.installations = installations  # not reset: the bot keeps the tokens
        self.news = threading.Condition(threading.RLock())
        self.boot = secrets.token_hex(4)
        self.version = 0
        self.people: dict[str, Person] = {person.id: person for person in workspace.PEOPLE}
        self.base_url = self.bot_url = ""
        self.reset()

    def reset(self) -> None:
        """Restore the initial state."""
        with self.change():
            self.clock = Clock()
            self.channels: dict[str, Channel] = workspace.channels()
            self.messages = Messages(Timestamps(self.clock))
            self.views = Views(self.clock)
            self.triggers = Triggers(self.clock)
            self.response_urls = ResponseUrls(self.clock)
            self.request_log = RequestLog()
            self.faults = Faults()
            self.files = Files()
            self.groups = UserGroups()
            self.deactivated: set[str] = set()
            self.update_bot_membership()

    def update_bot_membership(self) -> None:
        """Let the bot be in the channels of other workspaces if the app is installed there."""
        for channel in self.channels.values():
            if channel.team is workspace.HOME:
                continue
            if self.installations.is_installed(channel.team):
                channel.members.add(workspace.BOT_USER_ID)
            else:
                channel.members.discard(workspace.BOT_USER_ID)

    @contextmanager
    def change(self) -> Iterator[None]:
        """Hold the lock, then notify the threads that wait for changes."""
        with self.news:
            yield
            self.version += 1
            self.news.notify_all()

    def channel(self, reference: str) -> Channel:
        """Return a channel by id, by name with or without ``#``, or the direct message with a person's id."""
        if reference in self.people:
            return self.channels[workspace.create_direct_message(reference).id]
        name = reference.removeprefix("#")
        for channel in self.channels.values():
            if channel.id == reference or (channel.name == name and channel.kind != "im"):
                return channel
        raise SlackError("channel_not_found")

    def get_channel_for_bot(self, reference: str) -> Channel:
        """Return a channel that the bot may write to. Raises Slack's error otherwise."""
        channel = self.channel(reference)
        if not channel.has_bot:
            # Slack hides private channels from apps that are not members.
            raise SlackError("channel_not_found" if channel.kind == "private" else "not_in_channel")
        if channel.archived:
            raise SlackError("is_archived")
        return channel
