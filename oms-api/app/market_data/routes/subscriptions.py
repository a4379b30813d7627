"""Routes of subscriptions: symbols whose quotes are always followed; and of the health of the feed."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response
from sqlalchemy import Connection

from app.audit.service import record_entries
from app.http.app_state import get_request_info
from app.http.body import json_body
from app.http.dependencies import ChangesDep, ClockDep, ReadersDep
from app.http.responses import build_json_response, document_responses
from app.identity.dependencies.authentication import ReadBooksCaller, require_permission
from app.identity.rules.access import Caller, Operation
from app.identity.service.caller_entries import build_caller_entry
from app.instruments.rules import InstrumentKey
from app.instruments.schemas import Symbol
from app.market_data.dependencies import MarketDep
from app.market_data.queries import subscriptions as queries
from app.market_data.queries.subscriptions import Subscription
from app.market_data.schemas import FeedHealthOut, SubscriptionOut, SubscriptionsIn, serialize_subscription
from app.market_data.service import Market
from app.market_data.service.subscriptions import add_subscriptions, remove_subscription
from app.timestamps import format_timestamp

router = APIRouter(prefix="/market-data", tags=["market data"])

SubscribeQuotesCaller = Annotated[Caller, Depends(require_permission(Operation.SUBSCRIBE_QUOTES))]
EXAMPLE: dict[str, Any] = {"symbols": ["AAPL", "MSFT"]}


@router.post(
    "/subscriptions", summary="Create subscriptions", **document_responses(201, list[SubscriptionOut], 409)
)
async def create_subscriptions(
    caller: SubscribeQuotesCaller,
    body: Annotated[SubscriptionsIn, Depends(json_body(SubscriptionsIn, EXAMPLE))],
    market: MarketDep, changes: ChangesDep, now: ClockDep, request: Request,
) -> Response:  # fmt: skip
    """Follow the quotes of symbols until the subscriptions are deleted, and return their last quotes.

    All API processes follow them. A symbol that is already subscribed does not change.
    """
    tenant_id, at = caller.tenant_id, now()

    def write(connection: Connection) -> list[dict[str, Any]]:
        subscriptions = add_subscriptions(connection, tenant_id, body.symbols, caller.actor, at)
        target = " ".join(subscription.symbol for subscription in subscriptions)[:400]
        record_entries(
            connection,
            [build_caller_entry(caller, get_request_info(request), at, "market_data.subscribed", target)],
        )
        return _serialize_subscriptions(connection, market, tenant_id, subscriptions, at)

    return build_json_response(await changes.run(write, tenant_id), 201)


@router.get("/subscriptions", summary="List subscriptions", **document_responses(200, list[SubscriptionOut]))
async def list_subscriptions(
    caller: ReadBooksCaller, market: MarketDep, readers: ReadersDep, now: ClockDep
) -> Response:
    """List the symbols that the tenant follows, with the last quote of each and the age of the quote."""
    tenant_id, at = caller.tenant_id, now()

    def read(connection: Connection) -> list[dict[str, Any]]:
        subscriptions = queries.list_subscriptions(connection, tenant_id)
        return _serialize_subscriptions(connection, market, tenant_id, subscriptions, at)

    return build_json_response(await readers.run(read, tenant_id))


@router.delete(
    "/subscriptions/{symbol:path}", summary="Delete a subscription", **document_responses(204, "Deleted", 404)
)
async def delete_subscription(
    caller: SubscribeQuotesCaller,
    symbol: Annotated[Symbol, Path()],
    changes: ChangesDep,
    now: ClockDep,
    request: Request,
) -> Response:
    """Stop following a symbol, unless it has positions or orders or is on a watchlist."""
    tenant_id, at = caller.tenant_id, now()

    def write(connection: Connection) -> None:
        removed = remove_subscription(connection, tenant_id, symbol)
        record_entries(
            connection,
            [build_caller_entry(caller, get_request_info(request), at, "market_data.unsubscribed", removed)],
        )

    await changes.run(write, tenant_id)
    return Response(status_code=204)


@router.get("/health", summary="Get the health of market data", **document_responses(200, FeedHealthOut))
async def get_feed_health(
    caller: ReadBooksCaller, market: MarketDep, readers: ReadersDep, now: ClockDep
) -> Response:
    """Get whether the price source responds, and which subscriptions have a stale quote or no quote."""
    tenant_id, at = caller.tenant_id, now()

    def read(connection: Connection) -> list[dict[str, Any]]:
        subscriptions = queries.list_subscriptions(connection, tenant_id)
        return _serialize_subscriptions(connection, market, tenant_id, subscriptions, at)

    subscriptions, silence = await readers.run(read, tenant_id), market.compute_feed_silence(at)
    fields = {
        "status": "stale" if silence is not None and silence > market.max_silence else "ok",
        "price_source": market.source_name,
        "last_heard_at": None if silence is None else format_timestamp(at - silence),
        "silence_seconds": None if silence is None else round(silence.total_seconds(), 3),
        "max_silence_seconds": market.max_silence.total_seconds(),
        "followed_symbols": market.followed_symbols,
        "subscriptions": len(subscriptions),
        "stale_symbols": [item["symbol"] for item in subscriptions if item["is_stale"]],
        "missing_symbols": [item["symbol"] for item in subscriptions if item["quote"] is None],
    }
    return build_json_response(fields)


def _serialize_subscriptions(
    connection: Connection, market: Market, tenant_id: int, subscriptions: list[Subscription], at: datetime
) -> list[dict[str, Any]]:
    keys = {item.symbol: InstrumentKey(tenant_id, item.symbol) for item in subscriptions}
    quotes = market.load_quotes(connection, sorted(keys.values()), at)
    serialized = []
    for subscription in subscriptions:
        quote = quotes.get(keys[subscription.symbol])
        is_stale = None if quote is None else market.is_stale(quote, at)
        serialized.append(serialize_subscription(subscription, quote, at, is_stale=is_stale))
    return serialized
