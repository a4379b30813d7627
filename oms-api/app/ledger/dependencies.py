"""What the ledger's routes are given."""

from typing import Annotated

from app.ledger.service.exits import ExitsReader
from app.ledger.service.trade_guard import Guard
from app.ledger.service.trade_service import TradeService
from app.wire.dependencies import part

TheDesk = Annotated[TradeService, part("desk")]
TheGuard = Annotated[Guard, part("guard")]
TheExits = Annotated[ExitsReader, part("exits")]
