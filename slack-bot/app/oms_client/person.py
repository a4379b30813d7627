"""The person for whom the bot calls the OMS."""

import re
from dataclasses import dataclass

ID = re.compile(r"[A-Z0-9]{1,20}", re.ASCII)


@dataclass(frozen=True)
class Person:
    """A person in Slack, identified by the ids of a signed request."""

    team: str  # id of the person's own workspace
    user: str

    def __post_init__(self) -> None:
        """Raise ValueError for ids that do not have the form of Slack's ids."""
        if not (ID.fullmatch(self.team) and ID.fullmatch(self.user)):
            raise ValueError("A person is a team's id and a user's id.")

    @classmethod
    def find(cls, team: str, user: str) -> "Person | None":
        """Return the person with stored ids, None without a user id."""
        return cls(team, user) if user else None

    @property
    def actor(self) -> str:
        """The name of the person in the OMS."""
        return f"slack:{self.team}:{self.user}"
