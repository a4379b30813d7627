"""Declare the FastAPI dependencies of the risk routes."""

from typing import Annotated

from fastapi import Depends

from app.http.app_state import Component
from app.risk.service.controls import Controls
from app.risk.service.kill_switches import KillSwitches

KILL_SWITCHES = Component[KillSwitches]("kill_switches")
KillSwitchesDep = Annotated[KillSwitches, Depends(KILL_SWITCHES)]
CONTROLS = Component[Controls]("controls")
ControlsDep = Annotated[Controls, Depends(CONTROLS)]
