"""Declare the FastAPI dependencies of the ledger routes."""

from typing import Annotated

from fastapi import Depends

from app.http.app_state import Component
from app.ledger.service.cash_figures import CashReader
from app.ledger.service.positions import ExitsReader
from app.ledger.service.trade_guard import Guard
from app.ledger.service.trade_service import TradeService
from app.ledger.service.valuation import Valuer

TRADE_SERVICE = Component[TradeService]("trade_service")
TradeServiceDep = Annotated[TradeService, Depends(TRADE_SERVICE)]
GUARD = Component[Guard]("guard")
GuardDep = Annotated[Guard, Depends(GUARD)]
EXITS = Component[ExitsReader]("exits")
ExitsDep = Annotated[ExitsReader, Depends(EXITS)]
VALUER = Component[Valuer]("valuer")
ValuerDep = Annotated[Valuer, Depends(VALUER)]
CASH_READER = Component[CashReader]("cash_reader")
CashReaderDep = Annotated[CashReader, Depends(CASH_READER)]
