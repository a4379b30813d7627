"""What the routes of quotes and bars are given."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request

from app.market_data.rules.values import Quote
from app.market_data.service import Market

Publish = Callable[[int, Quote], Awaitable[None]]


async def _market(request: Request) -> Market:
    market: Market = request.app.state.market
    return market


async def _publish(request: Request) -> Publish:
    publish: Publish = request.app.state.publish_quote
    return publish


TheMarket = Annotated[Market, Depends(_market)]
ThePublisher = Annotated[Publish, Depends(_publish)]
