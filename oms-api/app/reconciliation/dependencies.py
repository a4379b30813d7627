"""Dependencies of the routes of reconciliation."""

from typing import Annotated

from fastapi import Depends

from app.http.app_state import Component
from app.reconciliation.service.adoption import Adoption

ADOPTION = Component[Adoption]("adoption")
AdoptionDep = Annotated[Adoption, Depends(ADOPTION)]
