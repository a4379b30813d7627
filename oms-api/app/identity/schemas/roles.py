"""Request and response bodies of roles."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from app.http.fields import WholeNumber
from app.http.request_models import RequestModel
from app.identity.rules.access import PERMISSION_RULES, SCOPES_OF_ROLE, Operation, Role, Scope
from app.identity.rules.administration import UserChanges
from app.identity.schemas.fields import Patch, PortfolioNames, WrittenRole, omit_field
from app.identity.schemas.users import NARROWED


class GrantIn(RequestModel):
    """A role to grant to a user."""

    user_id: Annotated[WholeNumber, Field(ge=1)]
    role: WrittenRole
    portfolios: PortfolioNames | None = Field(None, description=NARROWED)

    def to_changes(self) -> UserChanges:
        """Return the service's parameters. Without portfolios the role applies to all of them."""
        return {"role": self.role, "portfolios": self.portfolios}


class GrantPatch(Patch):
    """The changes of a user's role."""

    role: WrittenRole = omit_field()
    portfolios: PortfolioNames | None = Field(None, description=NARROWED)

    def to_changes(self) -> UserChanges:
        """Return the service's parameters."""
        changes: UserChanges = {}
        if "role" in self.model_fields_set:
            changes["role"] = self.role
        if "portfolios" in self.model_fields_set:
            changes["portfolios"] = self.portfolios
        return changes


class RoleOut(BaseModel):
    """A role and the operations it allows."""

    role: Role
    scopes: list[Scope]
    operations: list[Operation] = Field(
        description="Names of the operations, as in `x-operation` of each route"
    )


def serialize_roles() -> list[dict[str, Any]]:
    """Serialize all roles of the table of operations."""
    return [
        {
            "role": role,
            "scopes": sorted(SCOPES_OF_ROLE[role]),
            "operations": [
                operation for operation in Operation if role in PERMISSION_RULES[operation].list_roles()
            ],
        }
        for role in Role
    ]
