"""Roles on the wire: what each may do, and who has which."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from app.identity.rules.access import SCOPES_OF_ROLE, TABLE, Operation, Role, Scope
from app.identity.rules.administration import UserChanges
from app.identity.schemas.fields import Patch, Portfolios, Requested, left_out
from app.identity.schemas.users import NARROWED
from app.wire.fields import WholeNumber


class GrantIn(Requested):
    """A role for a user."""

    user_id: Annotated[WholeNumber, Field(ge=1)]
    role: Role
    portfolios: Portfolios | None = Field(None, description=NARROWED)

    def changes(self) -> UserChanges:
        """Return what the service is asked: without portfolios, the role is for all of them."""
        return {"role": self.role, "portfolios": self.portfolios}


class GrantPatch(Patch):
    """What is to change of a user's role."""

    role: Role = left_out()
    portfolios: Portfolios | None = Field(None, description=NARROWED)

    def changes(self) -> UserChanges:
        """Return what the service is asked."""
        changes: UserChanges = {}
        if "role" in self.model_fields_set:
            changes["role"] = self.role
        if "portfolios" in self.model_fields_set:
            changes["portfolios"] = self.portfolios
        return changes


class RoleOut(BaseModel):
    """What a role may do."""

    role: Role
    scopes: list[Scope]
    operations: list[Operation] = Field(description="As `x-operation` of each route names them")


def roles_out() -> list[dict[str, Any]]:
    """Return all roles, from the table."""
    return [
        {
            "role": role,
            "scopes": sorted(SCOPES_OF_ROLE[role]),
            "operations": [operation for operation in Operation if role in TABLE[operation].roles()],
        }
        for role in Role
    ]
