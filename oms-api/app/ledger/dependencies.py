"""What the ledger's routes are given."""

from typing import Annotated

from fastapi import Depends, Request

from app.ledger.service.desk import Desk
from app.ledger.service.exits import ExitsReader
from app.ledger.service.guarding import Guard


async def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


async def _guard(request: Request) -> Guard:
    guard: Guard = request.app.state.guard
    return guard


async def _exits(request: Request) -> ExitsReader:
    read: ExitsReader = request.app.state.exits
    return read


TheDesk = Annotated[Desk, Depends(_desk)]
TheGuard = Annotated[Guard, Depends(_guard)]
TheExits = Annotated[ExitsReader, Depends(_exits)]
