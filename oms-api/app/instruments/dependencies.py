"""Dependencies of the routes of instruments."""

from typing import Annotated

from app.instruments.service import InUse, Standing
from app.wire.dependencies import part

WhatStands = Annotated[Standing, part("standing_in")]
SymbolInUse = Annotated[InUse, part("is_symbol_in_use")]
