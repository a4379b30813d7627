"""What the routes of risk are given."""

from typing import Annotated

from app.risk.service.board import SwitchBoard
from app.risk.service.controls import Controls
from app.wire.dependencies import part

TheBoard = Annotated[SwitchBoard, part("switch_board")]
TheControls = Annotated[Controls, part("controls")]
