"""Dependencies of the routes of corporate actions."""

from typing import Annotated

from app.corporate_actions.service.booking import CorporateActions
from app.wire.dependencies import part

CorporateActionsDep = Annotated[CorporateActions, part("corporate_actions")]
