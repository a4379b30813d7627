"""API keys on the wire."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from app.identity.rules.access import Scope
from app.identity.rules.administration import NewKey, Rotation
from app.identity.schemas.fields import Expiry, KeyName, Patch, Portfolios, Requested, Scopes, left_out
from app.identity.schemas.users import NARROWED
from app.wire.fields import WholeNumber

WEEK_SECONDS = 7 * 24 * 3600
_EXPIRY = "Without it, a key made by one who expires expires with them; null for never"


class KeyIn(Requested):
    """A key to be made. Nobody gives more than they have: scopes, portfolios, time."""

    name: KeyName
    scopes: Scopes
    expires_at: Expiry | None = Field(None, description=_EXPIRY)
    portfolios: Portfolios | None = Field(None, description=NARROWED)

    def wanted(self) -> NewKey:
        """Return what the service is asked."""
        portfolios = None if self.portfolios is None else tuple(self.portfolios)
        is_said = "expires_at" in self.model_fields_set
        return NewKey(self.name, frozenset(map(Scope, self.scopes)), self.expires_at, portfolios, is_said)


class KeyPatch(Patch):
    """A new name, or the end. Trades made before keep the name they were made under."""

    name: KeyName = left_out()
    revoked: Literal[True] = left_out()

    def new_name(self) -> str | None:
        """Return the name to be, None where it stays."""
        return self.name if "name" in self.model_fields_set else None

    def ends(self) -> bool:
        """Return whether the key is to be revoked."""
        return "revoked" in self.model_fields_set


class RotationIn(Requested):
    """How long the old key works on. `expires_at` is the new one's, by default that of the old."""

    overlap_seconds: Annotated[WholeNumber, Field(ge=0, le=WEEK_SECONDS)] = 3600
    expires_at: Expiry | None = None

    def wanted(self) -> Rotation:
        """Return what the service is asked."""
        return Rotation(self.overlap_seconds, self.expires_at, "expires_at" in self.model_fields_set)


class KeyOut(BaseModel):
    """A key, without the key itself."""

    key_id: str = Field(examples=["3k9f0c2m7x1a"])
    name: str = Field(examples=["desk-bot"])
    scopes: list[Scope]
    state: Literal["live", "expired", "revoked"]
    created_at: str = Field(examples=["2026-11-20T15:04:05.123456Z"])
    expires_at: str | None
    revoked_at: str | None
    last_used_at: str | None = Field(description="To the minute")
    portfolios: list[str] | None = Field(description=NARROWED)
    rotated_from: str | None = Field(description="The id of the key that this one follows")
    created_by: str | None = Field(examples=["alice@example.com"])


class KeyMadeOut(KeyOut):
    """A fresh key."""

    key: str = Field(description="Shown once")
