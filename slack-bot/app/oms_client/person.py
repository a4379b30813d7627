"""On whose behalf the OMS is asked."""

import re
from dataclasses import dataclass

ID = re.compile(r"[A-Z0-9]{1,20}", re.ASCII)


@dataclass(frozen=True)
class Person:
    """Somebody in Slack, by the ids that a signed request gave; never by a name, or by what was typed."""

    team: str  # the person's own workspace
    user: str

    def __post_init__(self) -> None:
        """Raise ValueError for what is no id of Slack's."""
        if not (ID.fullmatch(self.team) and ID.fullmatch(self.user)):
            raise ValueError("A person is a team's id and a user's id.")

    @property
    def actor(self) -> str:
        """How the OMS and its ledger know the person."""
        return f"slack:{self.team}:{self.user}"
