"""Dependencies of the routes of instruments."""

from typing import Annotated

from fastapi import Depends

from app.http.app_state import Component
from app.instruments.service import FindCurrencies, IsInUse

FIND_CURRENCIES_IN_USE = Component[FindCurrencies]("find_currencies_in_use")
CurrenciesInUseDep = Annotated[FindCurrencies, Depends(FIND_CURRENCIES_IN_USE)]
IS_SYMBOL_IN_USE = Component[IsInUse]("is_symbol_in_use")
IsSymbolInUseDep = Annotated[IsInUse, Depends(IS_SYMBOL_IN_USE)]
