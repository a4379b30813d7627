"""Dependencies of the routes of quotes and bars."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends

from app.http.app_state import Component
from app.market_data.rules.values import Quote
from app.market_data.service import Market

PublishQuote = Callable[[int, Quote], Awaitable[None]]

MARKET = Component[Market]("market")
MarketDep = Annotated[Market, Depends(MARKET)]
PUBLISH_QUOTE = Component[PublishQuote]("publish_quote")
PublisherDep = Annotated[PublishQuote, Depends(PUBLISH_QUOTE)]
