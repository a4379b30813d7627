"""Declare the FastAPI dependencies of the ledger routes."""

from typing import Annotated

from app.ledger.service.cash_figures import CashReader
from app.ledger.service.exits import ExitsReader
from app.ledger.service.trade_guard import Guard
from app.ledger.service.trade_service import TradeService
from app.ledger.service.valuation import Valuer
from app.wire.dependencies import part

TradeServiceDep = Annotated[TradeService, part("trade_service")]
GuardDep = Annotated[Guard, part("guard")]
ExitsDep = Annotated[ExitsReader, part("exits")]
ValuerDep = Annotated[Valuer, part("valuer")]
CashReaderDep = Annotated[CashReader, part("cash_reader")]
