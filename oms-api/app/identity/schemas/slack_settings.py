"""Request and response bodies of the Slack settings of a tenant."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field

from app.http.fields import to_lower_case
from app.http.request_models import RequestModel
from app.identity.schemas.fields import DisplayName

MAX_CHANNELS = 50  # the settings must fit into one entry of the audit log
MAX_GROUPS = 50
MAX_MEMBERS = 2000

SlackChannelId = Annotated[str, Field(pattern=r"^[CG][A-Z0-9]{1,20}$")]
SlackGroupId = Annotated[str, Field(pattern=r"^S[A-Z0-9]{1,20}$")]
SlackUserId = Annotated[str, Field(pattern=r"^[A-Z0-9]{1,20}$")]
GroupRole = Annotated[Literal["viewer", "trader"], BeforeValidator(to_lower_case)]
CHANNELS = (
    "Slack channels in which trading is allowed, by channel ID; empty: all. The bot "
    "enforces this, and preselects the portfolio of a channel"
)
ROLES = "Roles of Slack's user groups, by group ID: viewer or trader. Empty: groups give no roles"


class ChannelSettings(RequestModel):
    """A channel for trading."""

    portfolio: DisplayName | None = Field(
        None, description="Portfolio that forms of this channel preselect; null: none", examples=["Growth"]
    )


Channels = Annotated[
    dict[SlackChannelId, ChannelSettings],
    Field(max_length=MAX_CHANNELS, description=CHANNELS, examples=[{"C0DESK00001": {"portfolio": "Growth"}}]),
]
GroupRoles = Annotated[
    dict[SlackGroupId, GroupRole],
    Field(max_length=MAX_GROUPS, description=ROLES, examples=[{"S0TRADERS01": "trader"}]),
]


class SlackSettingsOut(BaseModel):
    """The settings that the bot enforces."""

    slack_channels: dict[str, ChannelSettings] = Field(
        description=CHANNELS, examples=[{"C0DESK00001": {"portfolio": "Growth"}}]
    )
    slack_group_roles: dict[str, str] = Field(description=ROLES, examples=[{"S0TRADERS01": "trader"}])


class SlackGroupsIn(RequestModel):
    """The members of the user groups of a workspace."""

    team_id: str = Field(
        pattern=r"^[A-Z0-9]{1,20}$", description="ID of the workspace", examples=["T012AB3C4"]
    )
    groups: dict[SlackGroupId, Annotated[list[SlackUserId], Field(max_length=MAX_MEMBERS)]] = Field(
        max_length=MAX_GROUPS,
        description="IDs of all members of each user group that has a role",
        examples=[{"S0TRADERS01": ["U012AB3C4"]}],
    )


class SlackGroupsOut(BaseModel):
    """The changes that the user groups caused."""

    created: int = Field(description="The number of new users", examples=[1])
    changed: int = Field(description="The number of users whose role changed", examples=[2])
