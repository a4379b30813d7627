"""Dependencies of the routes of reconciliation."""

from typing import Annotated

from fastapi import Depends

from app.reconciliation.service.adoption import Adoption
from app.wire.app_state import Component

ADOPTION = Component[Adoption]("adoption")
AdoptionDep = Annotated[Adoption, Depends(ADOPTION)]
