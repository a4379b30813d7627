"""Request and response bodies of authentication."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from app.http.request_models import RequestModel
from app.identity.queries.sessions import CallerNames, OpenSession
from app.identity.rules.access import Caller
from app.identity.rules.clients import LoginCredentials
from app.identity.rules.emails import MAX_LENGTH as EMAIL_LENGTH
from app.identity.rules.emails import normalize_email
from app.identity.rules.passwords import MAX_LENGTH as PASSWORD_LENGTH
from app.identity.rules.tokens import MAX_TOKEN_LENGTH, Tokens
from app.timestamps import format_timestamp


def _validate_email(value: str) -> str:
    address = normalize_email(value)
    if address is None:
        raise PydanticCustomError("email", "Must be an e-mail address.")
    return address


Email = Annotated[
    str,
    Field(max_length=EMAIL_LENGTH),
    AfterValidator(_validate_email),
    WithJsonSchema({"type": "string", "pattern": "^[^@\\s]{1,64}@[^@\\s]{1,189}$"}),
]


class LoginIn(RequestModel, strict=True):
    """Credentials of a login. Lengths are in characters."""

    tenant: str = Field(min_length=1, max_length=60, pattern="^[ -~]+$", description="The tenant's slug")
    email: Email
    password: str = Field(min_length=1, max_length=PASSWORD_LENGTH, repr=False)

    def to_credentials(self) -> LoginCredentials:
        """Return the service's parameters."""
        return LoginCredentials(self.tenant.strip().lower(), self.email, self.password)


class RefreshIn(RequestModel, strict=True):
    """A refresh token. Each token is valid once."""

    refresh_token: str = Field(min_length=1, max_length=MAX_TOKEN_LENGTH, repr=False)


class PasswordIn(RequestModel, strict=True):
    """The caller's current password and the new one."""

    current_password: str = Field(min_length=1, max_length=PASSWORD_LENGTH, repr=False)
    new_password: str = Field(min_length=1, max_length=PASSWORD_LENGTH, repr=False)


class LoginSessionOut(BaseModel):
    """A session of the caller."""

    session_id: str = Field(examples=["0123456789abcdef0123456789abcdef"])
    created_at: str = Field(examples=["2026-11-20T15:04:05.123456Z"])
    last_used_at: str = Field(
        examples=["2026-11-20T15:04:05.123456Z"], description="Time of the last refresh, in UTC"
    )
    expires_at: str = Field(examples=["2026-12-20T15:04:05.123456Z"])
    is_current: bool = Field(description="Whether this is the session of the request")


class TokensOut(BaseModel):
    """The access token and the refresh token of a session."""

    access_token: str = Field(repr=False, description="For `Authorization: Bearer …`")
    refresh_token: str = Field(repr=False, description="Refresh token, valid for one `POST /auth/refresh`")
    token_type: Literal["bearer"] = "bearer"  # noqa: S105  # the name of a kind
    expires_in: int = Field(description="Seconds until the access token expires", examples=[900])


class MeOut(BaseModel):
    """The caller's identity and rights."""

    actor: str = Field(examples=["alice@example.com"], description="Name of the caller in the audit log")
    tenant: str = Field(examples=["alpha"])
    tenant_name: str = Field(examples=["Alpha Capital"])
    name: str | None = Field(
        examples=["Alice"], description="Name of the person; null: the key acts for no person"
    )
    email: str | None = Field(examples=["alice@example.com"])
    role: str | None = Field(
        examples=["trader"], description="Role of the person; null: the key acts for no person"
    )
    scopes: list[str] = Field(examples=[["read", "trade"]])
    portfolios: list[str] | None = Field(description="The portfolios that the caller may access; null: all")
    via: str = Field(examples=["session"], description="`session`, or the name of the key")


def serialize_tokens(tokens: Tokens) -> dict[str, object]:
    """Serialize the tokens of a session."""
    return {
        "access_token": tokens.access,
        "refresh_token": tokens.refresh,
        "token_type": "bearer",
        "expires_in": tokens.expires_in,
    }


def serialize_session(session: OpenSession, current: str) -> dict[str, object]:
    """Serialize a session for its owner."""
    return {
        "session_id": session.session_id,
        "created_at": format_timestamp(session.created_at),
        "last_used_at": format_timestamp(session.rotated_at),
        "expires_at": format_timestamp(session.expires_at),
        "is_current": session.session_id == current,
    }


def serialize_identity(caller: Caller, me: CallerNames) -> dict[str, object]:
    """Serialize the caller's identity and rights."""
    return {
        "actor": caller.actor,
        "tenant": me.tenant_slug,
        "tenant_name": me.tenant_name,
        "name": me.name,
        "email": me.email,
        "role": caller.role,
        "scopes": sorted(caller.scopes),
        "portfolios": None if caller.portfolios is None else sorted(caller.portfolios),
        "via": caller.name,
    }
