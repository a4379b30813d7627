"""Find the options of the portfolio field while a person types in it."""

import logging
from concurrent.futures import TimeoutError as FutureTimeout

from app.blocks.options import name_fault, no_choice, portfolio_options
from app.blocks.text import OPTIONS_AT_MOST, Json
from app.errors import BotError, NotAllowed, OmsError, Saturated, TooManyRequests, named
from app.services.dependencies import Services
from app.services.origin import Origin

log = logging.getLogger(__name__)

NO_ANSWER = "The trading system does not answer. Please try again."
NOT_ALLOWED = "You are not allowed to see portfolios here."
BUSY = "Too many requests at the moment. Please try again."


def suggest_portfolios(services: Services, origin: Origin, typed: str) -> Json:
    """Return at most 100 options for the typed text, or why there are none.

    The OMS has to answer within Slack's time limit.
    """
    request_id = origin.request_id
    try:
        future = services.suggesting.submit(request_id, _find_portfolios, services, origin, typed)
        return future.result(timeout=services.waits.suggestions)
    except (OmsError, Saturated, FutureTimeout) as fault:
        said = named(fault) if isinstance(fault, BotError) else type(fault).__name__
        log.warning("No suggestions", extra={"request_id": request_id, "fault": said})
        return no_choice(name_fault(typed) if typed.strip() and name_fault(typed) else _reason(fault))


def _reason(fault: Exception) -> str:
    match fault:
        case NotAllowed():
            return NOT_ALLOWED
        case TooManyRequests() | Saturated():
            return BUSY
        case _:
            return NO_ANSWER


def _find_portfolios(services: Services, origin: Origin, typed: str) -> Json:
    query, person, request_id = typed.strip(), origin.person, origin.request_id
    names = services.oms.portfolios(person, query, limit=OPTIONS_AT_MOST + 1, request_id=request_id)
    cut = len(names) > OPTIONS_AT_MOST  # the typed name may exist without being in the list
    exact = services.oms.portfolio_named(person, query, request_id=request_id) if cut and query else None
    return portfolio_options(names, typed, exact)
