"""Dependencies of the routes of corporate actions."""

from typing import Annotated

from fastapi import Depends

from app.corporate_actions.service.action_booking import CorporateActions
from app.http.app_state import Component

CORPORATE_ACTIONS = Component[CorporateActions]("corporate_actions")
CorporateActionsDep = Annotated[CorporateActions, Depends(CORPORATE_ACTIONS)]
