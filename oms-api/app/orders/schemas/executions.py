"""Request bodies on executions that their venue canceled or corrected."""

from typing import Annotated

from pydantic import (
    Field,
)

from app.http.fields import PositiveAmount
from app.ledger.schemas import Note
from app.orders.schemas.fields import (
    ExecutionId,
    RequestBody,
)


class BustIn(RequestBody):
    """The execution that its venue canceled, and the reason."""

    execution_id: ExecutionId = Field(
        description="ID of the execution, as in `fills`", examples=["X16972345671230000a1b2c3d4"]
    )
    reason: Annotated[Note, Field(min_length=1)] = Field(
        description="Reason, for the history and the ledger",
        examples=["Clearly erroneous, canceled by NYSE"],
    )


class CorrectionIn(BustIn):
    """The execution that its venue corrected, its correct quantity or price, and the reason."""

    quantity: PositiveAmount | None = Field(
        None, description="Units that were executed; null: as before", examples=["8"]
    )
    price: PositiveAmount | None = Field(
        None, description="Price per unit, in the instrument's currency; null: as before", examples=["99.50"]
    )
