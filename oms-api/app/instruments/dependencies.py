"""Dependencies of the routes of instruments."""

from typing import Annotated

from app.instruments.service import FindCurrencies, IsInUse
from app.wire.dependencies import part

CurrenciesInUseDep = Annotated[FindCurrencies, part("find_currencies_in_use")]
SymbolInUse = Annotated[IsInUse, part("is_symbol_in_use")]
