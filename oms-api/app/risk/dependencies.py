"""What the routes of risk are given."""

from typing import Annotated

from fastapi import Depends, Request

from app.risk.service.board import SwitchBoard
from app.risk.service.controls import Controls


async def _board(request: Request) -> SwitchBoard:
    board: SwitchBoard = request.app.state.switch_board
    return board


async def _controls(request: Request) -> Controls:
    controls: Controls = request.app.state.controls
    return controls


TheBoard = Annotated[SwitchBoard, Depends(_board)]
TheControls = Annotated[Controls, Depends(_controls)]
