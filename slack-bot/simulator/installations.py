"""The workspaces in which the app is installed, with the bot token of each."""

import hmac
import secrets

from simulator import workspace
from simulator.errors import SlackError
from simulator.workspace import Person, Team


class Installations:
    """The first workspace has the token that the simulator shares with the bot, others get a new one."""

    def __init__(self, first_token: str) -> None:
        self._tokens = {workspace.HOME.id: first_token}
        self._revoked: set[str] = set()

    def install(self, team: Team) -> str:
        """Install the app in a workspace. Return its bot token."""
        return self._tokens.setdefault(team.id, f"xoxb-{secrets.token_hex(24)}")

    def uninstall(self, team: Team) -> None:
        """Remove the app from a workspace. Its token is not valid any more."""
        token = self._tokens.pop(team.id, None)
        if token is not None:
            self._revoked.add(token)

    def is_installed(self, team: Team) -> bool:
        """Whether the app is installed in a workspace."""
        return team.id in self._tokens

    def find_team(self, token: str) -> Team:
        """Return the workspace of a bot token. Raises Slack's error."""
        if not token:
            raise SlackError("not_authed")
        for team in workspace.WORKSPACES:
            expected = self._tokens.get(team.id, "")
            if expected and hmac.compare_digest(token.encode(), expected.encode()):
                return team
        raise SlackError("account_inactive" if token in self._revoked else "invalid_auth")

    def get_team(self, person: Person) -> Team:
        """Return the workspace of the app that a person uses: their own, else the first one."""
        return person.team if self.is_installed(person.team) else workspace.HOME
