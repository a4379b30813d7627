"""Request and response bodies of API keys."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from app.http.fields import WholeNumber
from app.http.request_models import RequestModel
from app.identity.rules.access import Scope
from app.identity.rules.administration import NewKey, Rotation
from app.identity.schemas.fields import Expiry, KeyName, Patch, PortfolioNames, Scopes, omit_field
from app.identity.schemas.users import NARROWED

WEEK_SECONDS = 7 * 24 * 3600
_EXPIRY = "Time of expiry, in UTC; default: that of the key that creates it; null: never"


class KeyIn(RequestModel):
    """A new key. Its scopes, portfolios and lifetime cannot exceed those of the caller."""

    name: KeyName
    scopes: Scopes
    expires_at: Expiry | None = Field(None, description=_EXPIRY)
    portfolios: PortfolioNames | None = Field(None, description=NARROWED)

    def to_parameters(self) -> NewKey:
        """Return the service's parameters."""
        portfolios = None if self.portfolios is None else tuple(self.portfolios)
        has_expiry = "expires_at" in self.model_fields_set
        return NewKey(self.name, frozenset(map(Scope, self.scopes)), self.expires_at, portfolios, has_expiry)


class KeyPatch(Patch):
    """A new name, or a revocation. Earlier trades keep the name that the key had."""

    name: KeyName = omit_field()
    revoked: Literal[True] = omit_field()

    def get_new_name(self) -> str | None:
        """Return the new name, or None to keep the current one."""
        return self.name if "name" in self.model_fields_set else None

    def must_revoke(self) -> bool:
        """Return whether to revoke the key."""
        return "revoked" in self.model_fields_set


class RotationIn(RequestModel):
    """The overlap in which the old key stays valid.

    `expires_at` is that of the new key; by default it is that of the old one.
    """

    overlap_seconds: Annotated[WholeNumber, Field(ge=0, le=WEEK_SECONDS)] = 3600
    expires_at: Expiry | None = None

    def to_parameters(self) -> Rotation:
        """Return the service's parameters."""
        return Rotation(self.overlap_seconds, self.expires_at, "expires_at" in self.model_fields_set)


class KeyOut(BaseModel):
    """A key without its secret."""

    key_id: str = Field(examples=["3k9f0c2m7x1a"])
    name: str = Field(examples=["desk-bot"])
    scopes: list[Scope]
    state: Literal["live", "expired", "revoked"]
    created_at: str = Field(examples=["2026-11-20T15:04:05.123456Z"])
    expires_at: str | None
    revoked_at: str | None
    last_used_at: str | None = Field(
        description="Time of the last request, in UTC, to the minute; null: never"
    )
    portfolios: list[str] | None = Field(description=NARROWED)
    rotated_from: str | None = Field(description="ID of the key that this key replaces")
    created_by: str | None = Field(examples=["alice@example.com"])


class KeyMadeOut(KeyOut):
    """A key that was just created, with its secret."""

    key: str = Field(description="The API key; shown once")
