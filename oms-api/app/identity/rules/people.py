"""Names of Slack users: `slack:<team>:<user>`, sent by keys that may act for them."""

import re
from typing import NamedTuple

_SLACK = re.compile(r"slack:([A-Z0-9]{1,20}):([A-Z0-9]{1,20})", re.ASCII)


ERASED_NAME = "Erased person"
ERASED_PREFIX = "erased:"  # of the pseudonym that replaces a person


class SlackPerson(NamedTuple):
    """A member of a Slack workspace."""

    team_id: str
    slack_user_id: str

    @property
    def text(self) -> str:
        """The name of the person in the OMS."""
        return f"slack:{self.team_id}:{self.slack_user_id}"


def parse_slack_person(text: str) -> SlackPerson | None:
    """Parse the name of a Slack user. Return None if it is malformed."""
    match = _SLACK.fullmatch(text)
    return SlackPerson(*match.groups()) if match else None
