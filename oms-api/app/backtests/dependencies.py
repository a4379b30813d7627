"""Dependencies of the routes of backtests."""

from typing import Annotated

from fastapi import Depends

from app.backtests.service.requests import PrepareCode
from app.http.app_state import Component

PREPARE_STRATEGY_CODE = Component[PrepareCode]("prepare_strategy_code")
CodePreparationDep = Annotated[PrepareCode, Depends(PREPARE_STRATEGY_CODE)]
