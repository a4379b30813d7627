"""What the routes of risk are given."""

from typing import Annotated

from app.risk.service.controls import Controls
from app.risk.service.kill_switches import KillSwitches
from app.wire.dependencies import part

TheBoard = Annotated[KillSwitches, part("switch_board")]
TheControls = Annotated[Controls, part("controls")]
