"""Dependencies of the routes of instruments."""

from typing import Annotated

from app.instruments.service import FindCurrencies, IsInUse
from app.wire.dependencies import part

WhatStands = Annotated[FindCurrencies, part("standing_in")]
SymbolInUse = Annotated[IsInUse, part("is_symbol_in_use")]
