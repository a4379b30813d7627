"""User groups of the first workspace."""

from dataclasses import dataclass, field

from simulator.errors import SlackError


@dataclass
class UserGroup:
    """A user group. ``members`` contains user ids."""

    id: str
    handle: str
    name: str
    members: set[str] = field(default_factory=set)


class UserGroups:
    """The user groups by id."""

    def __init__(self) -> None:
        groups = (
            UserGroup("S0TRADERS01", "traders", "Traders", {"U0AVACHEN01", "U0BENOKAF02"}),
            UserGroup("S0WATCHER01", "watchers", "Watchers", {"U0DEVPATE04"}),
        )
        self.by_id = {group.id: group for group in groups}

    def find(self, reference: str) -> UserGroup:
        """Return a group by id or handle. Raises Slack's error."""
        for group in self.by_id.values():
            if reference in (group.id, group.handle):
                return group
        raise SlackError("no_such_subteam")
