"""Load the options of a field that selects an existing portfolio: portfolio names with their cash."""

from app.blocks.options import build_cash_label, build_reason_option
from app.blocks.text import MAX_OPTION_VALUE_CHARACTERS, MAX_OPTIONS, Json, build_option
from app.services.dependencies import Services
from app.services.forms.suggestions import suggest_within_time
from app.services.request_origin import RequestOrigin

NONE_FOUND = "No portfolio matches."


def suggest_existing_portfolios(services: Services, origin: RequestOrigin, typed: str) -> Json:
    """Return at most 100 existing portfolios for the typed text, or why there are none."""
    return suggest_within_time(
        services, origin, lambda: _load_portfolio_options(services, origin, typed.strip())
    )


def _load_portfolio_options(services: Services, origin: RequestOrigin, query: str) -> Json:
    portfolio_cashes = services.orders.list_cash(
        origin.person, query, limit=MAX_OPTIONS, request_id=origin.request_id
    )
    options = [
        build_option(build_cash_label(portfolio_cash), portfolio_cash.name)
        for portfolio_cash in portfolio_cashes
        if 0 < len(portfolio_cash.name) <= MAX_OPTION_VALUE_CHARACTERS
    ]
    return {"options": options} if options else build_reason_option(NONE_FOUND)
