"""Find the options of the portfolio field while a person types in it."""

import logging
from collections.abc import Callable
from concurrent.futures import TimeoutError as FutureTimeout

from app.blocks.options import (
    build_cash_label,
    build_portfolio_options,
    build_reason_option,
    find_name_error,
)
from app.blocks.text import MAX_OPTIONS, Json
from app.errors import BotError, OmsError, OmsForbidden, QueueFull, TooManyRequests, format_log_name
from app.services.dependencies import Services
from app.services.request_origin import RequestOrigin

log = logging.getLogger(__name__)

NO_RESPONSE = "The trading system does not respond. Please try again."
NOT_ALLOWED = "You are not allowed to see portfolios here."
BUSY = "Too many requests at the moment. Please try again."


def suggest_portfolios(services: Services, origin: RequestOrigin, typed: str) -> Json:
    """Return at most 100 options for the typed text, or why there are none."""
    error = find_name_error(typed) if typed.strip() else ""
    return suggest_within_time(
        services, origin, lambda: _load_portfolio_options(services, origin, typed), error
    )


def suggest_within_time(
    services: Services, origin: RequestOrigin, find: Callable[[], Json], typing_error: str = ""
) -> Json:
    """Return the options that `find` returns within Slack's time limit, or why there are none.

    `typing_error` is the reason if the typed text is at fault.
    """
    request_id = origin.request_id
    try:
        return services.suggestion_workers.submit(request_id, find).result(timeout=services.waits.suggestions)
    except (OmsError, QueueFull, FutureTimeout) as error:
        error_name = format_log_name(error) if isinstance(error, BotError) else type(error).__name__
        log.warning("No suggestions", extra={"request_id": request_id, "fault": error_name})
        return build_reason_option(typing_error or _build_reason(error))


def _build_reason(error: Exception) -> str:
    match error:
        case OmsForbidden():
            return NOT_ALLOWED
        case TooManyRequests() | QueueFull():
            return BUSY
        case _:
            return NO_RESPONSE


def _load_portfolio_options(services: Services, origin: RequestOrigin, typed: str) -> Json:
    query = typed.strip()
    person = origin.person
    request_id = origin.request_id
    portfolio_cashes = services.orders.list_cash(person, query, limit=MAX_OPTIONS + 1, request_id=request_id)
    cut = len(portfolio_cashes) > MAX_OPTIONS  # the typed name may exist without being in the list
    exact = services.oms.find_portfolio(person, query, request_id=request_id) if cut and query else None
    labels = {portfolio_cash.name: build_cash_label(portfolio_cash) for portfolio_cash in portfolio_cashes}
    return build_portfolio_options(labels, typed, exact)
