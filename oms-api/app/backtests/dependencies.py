"""Dependencies of the routes of backtests."""

from typing import Annotated

from app.backtests.service.requests import PrepareCode
from app.wire.dependencies import part

CodePreparationDep = Annotated[PrepareCode, part("prepare_strategy_code")]
