"""What the ledger's routes are given."""

from typing import Annotated

from fastapi import Depends, Request

from app.ledger.service.desk import Desk


async def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


TheDesk = Annotated[Desk, Depends(_desk)]
