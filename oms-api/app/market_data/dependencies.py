"""Dependencies of the routes of quotes and bars."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from app.market_data.rules.values import Quote
from app.market_data.service import Market
from app.wire.dependencies import part

Publish = Callable[[int, Quote], Awaitable[None]]

MarketDep = Annotated[Market, part("market")]
PublisherDep = Annotated[Publish, part("publish_quote")]
