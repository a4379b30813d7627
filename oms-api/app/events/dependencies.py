"""What the routes of events are given: the feed, and whether the caller still counts."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request

from app.edge import FastRequest
from app.events.service.feed import Feed
from app.identity.dependencies import Gate
from app.identity.rules.access import Operation
from app.wire.seals import Seals

StillCounts = Callable[[], Awaitable[bool]]


async def _feed(request: Request) -> Feed:
    feed: Feed = request.app.state.feed
    return feed


async def _seals(request: Request) -> Seals:
    seals: Seals = request.app.state.seals
    return seals


async def _still_counts(request: Request) -> StillCounts:
    gate: Gate = request.app.state.gate
    edge: FastRequest = request.state.edge

    async def ask() -> bool:
        return await gate.still_counts(edge, Operation.READ_EVENTS)

    return ask


TheFeed = Annotated[Feed, Depends(_feed)]
WhetherItCounts = Annotated[StillCounts, Depends(_still_counts)]
TheSeals = Annotated[Seals, Depends(_seals)]
