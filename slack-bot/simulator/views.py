"""Open forms and home tabs. Each person has a stack of at most three forms."""

import secrets
from dataclasses import dataclass, field
from typing import Any

from simulator import ids, workspace
from simulator.blockkit import values
from simulator.blockkit.surfaces import Block, add_ids
from simulator.clock import Clock
from simulator.errors import SlackError

MAX_DEPTH = 3
TEXT_FIELDS = ("title", "submit", "close")


@dataclass
class View:
    """An open form or a home tab. ``content`` is the content that the app sent, with all ids filled in."""

    id: str
    user: str
    root_id: str
    previous_id: str | None
    content: dict[str, Any]
    hash: str
    values: values.Values
    channel: str | None = None
    app_team: str = workspace.TEAM_ID  # the workspace of the app that opened it
    errors: dict[str, str] = field(default_factory=dict)
    notice: str = ""
    offered: dict[tuple[str, str], list[Block]] = field(default_factory=dict)

    @property
    def blocks(self) -> list[Block]:
        """The blocks of the view."""
        return list(self.content["blocks"])

    def payload(self) -> dict[str, Any]:
        """Return the view in the format of Slack's API and payloads."""
        content = self.content
        return {
            "id": self.id,
            "team_id": self.app_team,
            "type": content["type"],
            "blocks": content["blocks"],
            "private_metadata": content.get("private_metadata", ""),
            "callback_id": content.get("callback_id", ""),
            "state": {"values": self.values},
            "hash": self.hash,
            **{name: content.get(name) for name in TEXT_FIELDS},
            "clear_on_close": content.get("clear_on_close", False),
            "notify_on_close": content.get("notify_on_close", False),
            "previous_view_id": self.previous_id,
            "root_view_id": self.root_id,
            "app_id": workspace.APP_ID,
            "external_id": content.get("external_id", ""),
            "app_installed_team_id": self.app_team,
            "bot_id": workspace.BOT_ID,
        }

    def serialize(self) -> dict[str, Any]:
        """Return the view in the format of the page and the control API."""
        return self.payload() | {"user": self.user, "errors": self.errors, "notice": self.notice}


class Views:
    """The open forms and home tabs of all people."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._stacks: dict[str, list[View]] = {}
        self.homes: dict[str, View] = {}

    def stack(self, user: str) -> list[View]:
        """Return that person's open forms, the top one last."""
        return list(self._stacks.get(user, []))

    def top(self, user: str) -> View | None:
        """Return that person's top form, or None."""
        return next(reversed(self._stacks.get(user, [])), None)

    def list_open(self) -> list[View]:
        """Return all open forms and home tabs."""
        return [view for stack in self._stacks.values() for view in stack] + list(self.homes.values())

    def find(self, view_id: str | None = None, external_id: str | None = None) -> View:
        """Return an open view by either id. Raises ``not_found``."""
        for view in self.list_open():
            if view.id == view_id or (external_id and view.content.get("external_id") == external_id):
                return view
        raise SlackError("not_found")

    def open(self, user: str, content: dict[str, Any], channel: str | None) -> View:
        """Open a form. It replaces that person's open forms."""
        self._refuse_duplicate(content)
        view = self._create_view(user, content, None, channel)
        self._stacks[user] = [view]
        return view

    def push(self, user: str, content: dict[str, Any]) -> View:
        """Open a form on top of the stack. Raises Slack's error if the stack is empty or full."""
        stack = self._stacks.get(user, [])
        if not stack:
            raise SlackError("not_found")
        if len(stack) >= MAX_DEPTH:
            raise SlackError("push_limit_reached")
        self._refuse_duplicate(content)
        stack.append(self._create_view(user, content, stack[-1], stack[-1].channel))
        return stack[-1]

    def update(self, view: View, content: dict[str, Any], expected_hash: str | None = None) -> None:
        """Replace the content of a view. Raises ``hash_conflict`` if it does not have ``expected_hash``."""
        if expected_hash and expected_hash != view.hash:
            raise SlackError("hash_conflict")
        self._refuse_duplicate(content, view)
        view.content = content | {"blocks": add_ids(content["blocks"])}
        view.values = values.carry_over_values(view.values, view.blocks)
        view.hash = self._generate_hash()
        view.errors = {}
        view.notice = ""

    def publish(self, user: str, content: dict[str, Any], expected_hash: str | None) -> View:
        """Set that person's home tab."""
        home = self.homes.get(user)
        if home is None:
            home = self.homes[user] = self._create_view(user, content, None, None)
        else:
            self.update(home, content, expected_hash)
        return home

    def close(self, view: View) -> None:
        """Close one form. The forms below it stay open."""
        self._stacks[view.user] = [other for other in self._stacks.get(view.user, []) if other.id != view.id]

    def clear(self, user: str) -> None:
        """Close all of that person's forms."""
        self._stacks.pop(user, None)

    def _create_view(
        self, user: str, content: dict[str, Any], below: View | None, channel: str | None
    ) -> View:
        view_id = ids.generate_id("V")
        filled = content | {"blocks": add_ids(content["blocks"])}
        return View(
            id=view_id,
            user=user,
            root_id=below.root_id if below else view_id,
            previous_id=below.id if below else None,
            content=filled,
            hash=self._generate_hash(),
            values=values.initial_values(filled["blocks"], channel),
            channel=channel,
        )

    def _generate_hash(self) -> str:
        return f"{int(self._clock.now())}.{secrets.token_hex(4)}"

    def _refuse_duplicate(self, content: dict[str, Any], own: View | None = None) -> None:
        external_id = content.get("external_id")
        other_views = [view for view in self.list_open() if view is not own]
        if external_id and any(view.content.get("external_id") == external_id for view in other_views):
            raise SlackError("duplicate_external_id")
