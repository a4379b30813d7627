"""The settings of the tenant for Slack, which the bot reads and follows without a person."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.errors import UnreadableResponse
from app.oms_client.client import OmsClient

SETTINGS_PATH = "/api/v1/slack-settings"
GROUPS_PATH = "/api/v1/slack-groups"


@dataclass(frozen=True)
class SlackSettings:
    """`channels`: where trading is allowed, with the portfolio to preselect or an empty text.

    No channels: everywhere. `group_roles`: the roles of user groups by their ids.
    """

    channels: Mapping[str, str] = field(default_factory=dict)
    group_roles: Mapping[str, str] = field(default_factory=dict)


class SlackSettingsClient:
    """Calls about the Slack settings."""

    def __init__(self, oms: OmsClient):
        self._oms = oms

    def get(self) -> SlackSettings:
        """Return the settings. Raises `OmsError`."""
        try:
            return _parse_settings(self._oms.call_as_bot("GET", SETTINGS_PATH).json())
        except (AttributeError, KeyError, TypeError, ValueError):
            raise UnreadableResponse("The OMS returned Slack settings that cannot be read.") from None

    def report_groups(self, team: str, members: Mapping[str, Sequence[str]]) -> None:
        """Report the members of the user groups that have a role. Raises `OmsError`."""
        body = {"team_id": team, "groups": {group: list(users) for group, users in members.items()}}
        self._oms.call_as_bot("PUT", GROUPS_PATH, body)


def _parse_settings(values: Any) -> SlackSettings:
    channels = {
        str(channel): str(about["portfolio"] or "") for channel, about in values["slack_channels"].items()
    }
    return SlackSettings(
        channels, {str(group): str(role) for group, role in values["slack_group_roles"].items()}
    )
