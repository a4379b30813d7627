"""Request and response bodies of users."""

from typing import Annotated, Literal, cast

from pydantic import BaseModel, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from app.http.fields import SearchText, to_lower_case
from app.http.lists import Cursor, PageLimit
from app.http.pages import DEFAULT_LIMIT
from app.http.request_models import RequestModel
from app.identity.queries.users import UserFilter
from app.identity.rules.access import Role
from app.identity.rules.administration import NewUser, UserChanges
from app.identity.rules.passwords import MAX_LENGTH as PASSWORD_LENGTH
from app.identity.schemas.auth import Email
from app.identity.schemas.fields import (
    DisplayName,
    Patch,
    PortfolioNames,
    SlackPersonText,
    WrittenRole,
    omit_field,
)

Password = Annotated[str, Field(min_length=1, max_length=PASSWORD_LENGTH)]
UserStatus = Annotated[Literal["active", "disabled"], BeforeValidator(to_lower_case)]
SlackStatus = Annotated[Literal["active", "deactivated"], BeforeValidator(to_lower_case)]
NARROWED = "Names of the portfolios that the user may access; null: all"


class UserIn(RequestModel):
    """A new user with an e-mail address and a password, a Slack identity, or both."""

    name: DisplayName
    role: WrittenRole
    email: Email | None = None
    password: Password | None = Field(None, repr=False)
    person: SlackPersonText | None = None
    portfolios: PortfolioNames | None = Field(None, description=NARROWED)

    @model_validator(mode="after")
    def _require_sign_in_method(self) -> "UserIn":
        if self.email is None and (self.person is None or self.password is not None):
            raise PydanticCustomError("missing", "This field is required.", {"field": "email"})
        if self.password is None and self.person is None:
            raise PydanticCustomError("missing", "This field is required.", {"field": "password"})
        return self

    def to_parameters(self) -> NewUser:
        """Return the service's parameters."""
        portfolios = None if self.portfolios is None else tuple(self.portfolios)
        return NewUser(self.name, self.role, self.email, self.person, self.password, portfolios)


class UserPatch(Patch):
    """The changes of a user. If you disable a user or set a password, all sessions of the user end."""

    name: DisplayName = omit_field()
    role: WrittenRole = omit_field()
    status: UserStatus = omit_field()
    password: Password = omit_field(is_visible=False)
    portfolios: PortfolioNames | None = Field(None, description=NARROWED)

    def to_changes(self) -> UserChanges:
        """Return the service's parameters."""
        return cast("UserChanges", self.model_dump(exclude_unset=True))


class SlackStatusIn(RequestModel):
    """The status of a person's Slack account."""

    person: SlackPersonText = Field(description="Slack identity of the person", examples=["slack:T1:U1"])
    status: SlackStatus = Field(
        description="`deactivated`: requests of and for the person are refused; `active`: they are not",
        examples=["deactivated"],
    )


class SlackStatusOut(BaseModel):
    """The status of a person's Slack account."""

    person: str = Field(description="Slack identity of the person", examples=["slack:T1:U1"])
    status: Literal["active", "deactivated"] = Field(
        description="`deactivated`: requests of and for the person are refused", examples=["deactivated"]
    )


class UserQuery(RequestModel):
    """Filters and cursor of the list of users."""

    q: SearchText | None = Field(
        None, description="Part of the name, the e-mail address or the Slack identity"
    )
    role: WrittenRole | None = None
    status: UserStatus | None = None
    limit: PageLimit = DEFAULT_LIMIT
    cursor: Cursor | None = None

    def filter(self) -> UserFilter:
        """Return the filters without the cursor."""
        return UserFilter(self.q, self.role, self.status)


class UserOut(BaseModel):
    """A user."""

    id: int = Field(examples=[7])
    email: str | None = Field(examples=["alice@example.com"])
    person: str | None = Field(examples=["slack:T1:U1"])
    name: str = Field(examples=["Alice"])
    role: Role
    status: UserStatus
    slack_status: SlackStatus = Field(
        description="Status of the Slack account, as the bot reports; a user whose account is "
        "deactivated is refused",
        examples=["active"],
    )
    portfolios: list[str] | None = Field(description=NARROWED)
    can_log_in: bool = Field(description="Whether the user has a password")
    created_at: str = Field(examples=["2026-11-20T15:04:05.123456Z"])
    updated_at: str = Field(examples=["2026-11-20T15:04:05.123456Z"])
