"""Declare the FastAPI dependencies of the ledger routes."""

from typing import Annotated

from app.ledger.service.cash_figures import CashReader
from app.ledger.service.exits import ExitsReader
from app.ledger.service.trade_guard import Guard
from app.ledger.service.trade_service import TradeService
from app.ledger.service.valuation import Valuer
from app.wire.dependencies import part

TheTradeService = Annotated[TradeService, part("trade_service")]
TheGuard = Annotated[Guard, part("guard")]
TheExits = Annotated[ExitsReader, part("exits")]
TheValuer = Annotated[Valuer, part("valuer")]
TheCashReader = Annotated[CashReader, part("cash_reader")]
