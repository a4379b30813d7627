"""What the routes of instruments are given."""

from typing import Annotated

from fastapi import Depends, Request

from app.instruments.service import Standing


async def _standing(request: Request) -> Standing:
    standing: Standing = request.app.state.standing_in
    return standing


WhatStands = Annotated[Standing, Depends(_standing)]
