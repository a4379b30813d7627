"""Declare the FastAPI dependencies of the risk routes."""

from typing import Annotated

from app.risk.service.controls import Controls
from app.risk.service.kill_switches import KillSwitches
from app.wire.dependencies import part

KillSwitchesDep = Annotated[KillSwitches, part("kill_switches")]
ControlsDep = Annotated[Controls, part("controls")]
