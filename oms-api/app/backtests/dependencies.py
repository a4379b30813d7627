"""Dependencies of the routes of backtests."""

from typing import Annotated

from app.backtests.service.requests import FindCode
from app.wire.dependencies import part

TheCodeFinder = Annotated[FindCode, part("find_strategy_code")]
