"""Request and response bodies of tenants."""

import json
from typing import Annotated, Literal, cast

from pydantic import BaseModel, BeforeValidator, Field

from app.http.fields import OpeningCash, to_lower_case, to_upper_case
from app.http.request_models import RequestModel
from app.identity.rules.administration import NewTenant, TenantChanges
from app.identity.schemas.fields import DisplayName, Patch, Slug, omit_field
from app.identity.schemas.slack_settings import CHANNELS, ROLES, Channels, ChannelSettings, GroupRoles

BaseCurrency = Annotated[
    str,
    BeforeValidator(to_upper_case),
    Field(pattern="^[A-Z]{3}$", description="Currency of limits on the sum of all portfolios"),
]
NewUserRole = Annotated[Literal["viewer", "trader", "approver", "risk"], BeforeValidator(to_lower_case)]
DefaultOpeningCash = Annotated[
    OpeningCash,
    Field(
        description="Default opening cash of new portfolios, in their base currency; it also applies "
        "to portfolios that a reported trade creates",
        examples=["1000000.00"],
    ),
]


class TenantIn(RequestModel):
    """A new tenant."""

    name: DisplayName
    slug: Slug

    def to_parameters(self) -> NewTenant:
        """Return the service's parameters."""
        return NewTenant(self.slug, self.name)


class TenantPatch(Patch):
    """The changes of a tenant.

    Only the operator may set `status`; the tenant's administrators set the other fields.
    """

    name: DisplayName = omit_field()
    slack_default_role: NewUserRole | None = Field(
        None, description="Role of new users from Slack; null: they are rejected"
    )
    base_currency: BaseCurrency = omit_field()
    default_opening_cash: DefaultOpeningCash = omit_field()
    slack_channels: Channels = omit_field()
    slack_group_roles: GroupRoles = omit_field()
    status: Annotated[Literal["active", "suspended"], BeforeValidator(to_lower_case)] = omit_field()

    def to_changes(self) -> TenantChanges:
        """Return the service's parameters, with objects as canonical JSON."""
        values = {name: getattr(self, name) for name in self.model_fields_set}
        settings = self.model_dump(include=self.model_fields_set & _JSON_FIELDS)
        values |= {name: json.dumps(value, sort_keys=True) for name, value in settings.items()}
        return cast("TenantChanges", values)


_JSON_FIELDS = {"slack_channels", "slack_group_roles"}
EXAMPLE_STATEMENT = f"v1:T012AB3C4:k3j9x0q2w7ab:1795945503:{'0' * 32}:{'0' * 64}"


class WorkspaceIn(RequestModel):
    """A Slack workspace to assign or to release."""

    team_id: str = Field(
        pattern=r"^[A-Z0-9]{1,20}$", description="ID of the Slack workspace", examples=["T012AB3C4"]
    )


class WorkspaceClaimIn(WorkspaceIn):
    """A Slack workspace, and a signed statement that the bot verified its token."""

    statement: str = Field(
        min_length=1,
        max_length=300,
        description="Statement that the operator's bot signed for this workspace; valid once, for 5 minutes",
        examples=[EXAMPLE_STATEMENT],
    )


class WorkspaceOut(BaseModel):
    """A workspace, and the tenant to which it is or was assigned."""

    team_id: str = Field(examples=["T012AB3C4"])
    tenant: str = Field(description="The tenant's slug", examples=["alpha"])


class TenantListed(BaseModel):
    """A tenant in the directory."""

    slug: str = Field(examples=["alpha"])
    name: str = Field(examples=["Alpha Capital"])
    status: Literal["active", "suspended"]


class TenantOut(TenantListed):
    """A tenant as its own administrators see it."""

    id: int = Field(examples=[2])
    slack_default_role: str | None = Field(examples=["trader"])
    base_currency: str = Field(examples=["USD"])
    default_opening_cash: str = Field(
        description="Opening cash of new portfolios, in their base currency", examples=["1000000.00"]
    )
    slack_channels: dict[str, ChannelSettings] = Field(
        description=CHANNELS, examples=[{"C0DESK00001": {"portfolio": "Growth"}}]
    )
    slack_group_roles: dict[str, str] = Field(description=ROLES, examples=[{"S0TRADERS01": "trader"}])
    created_at: str = Field(examples=["2026-11-20T15:04:05.123456Z"])


class TenantMadeOut(TenantOut):
    """A tenant that was just created, with its first key."""

    api_key: str = Field(description="First admin key of the tenant; shown once")
