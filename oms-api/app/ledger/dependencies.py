"""What the ledger's routes are given."""

from typing import Annotated

from app.ledger.service.desk import Desk
from app.ledger.service.exits import ExitsReader
from app.ledger.service.guarding import Guard
from app.wire.dependencies import part

TheDesk = Annotated[Desk, part("desk")]
TheGuard = Annotated[Guard, part("guard")]
TheExits = Annotated[ExitsReader, part("exits")]
