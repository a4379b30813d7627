"""Build the options of the portfolio field."""

from collections.abc import Mapping

from app.blocks.text import MAX_OPTION_VALUE_CHARACTERS, MAX_OPTIONS, Json, build_option, build_plain_text
from app.forms import fields
from app.forms.numbers import format_rounded_money
from app.forms.orders.order import PortfolioCash
from app.forms.text import InvalidName, name_key, parse_portfolio

NO_PORTFOLIOS = "There are no portfolios yet. Type the name of a new one."


def build_portfolio_options(labels: Mapping[str, str], typed: str, exact: str | None = None) -> Json:
    """Return the options for existing portfolios, and an option that creates the name that was typed.

    The value of each option is the name of the portfolio; `labels` are its texts by name. `exact` is the
    existing portfolio whose complete name was typed, even if it is not among them. If they exceed Slack's
    limit, the label of the option group states how many are shown. If there are none, a single option
    explains why.
    """
    existing = [name for name in labels if 0 < len(name) <= MAX_OPTION_VALUE_CHARACTERS]
    if exact is not None:
        existing = [exact, *(name for name in existing if name != exact)]
    new_name = _parse_new_name(existing, typed)
    new = [build_option(fields.NEW_PORTFOLIO + new_name, new_name)] if new_name else []
    listed = existing[: MAX_OPTIONS - len(new)]
    options = [*(build_option(labels.get(name, name), name) for name in listed), *new]
    if not options:
        return build_reason_option(find_name_error(typed) if typed.strip() else NO_PORTFOLIOS)
    if len(listed) == len(existing):
        return {"options": options}
    label = build_plain_text(f"Showing {len(listed)} portfolios. Type to find others.")
    return {"option_groups": [{"label": label, "options": options}]}


def build_cash_label(portfolio: PortfolioCash) -> str:
    """Return the name of a portfolio with its cash."""
    return f"{portfolio.name} · {format_rounded_money(portfolio.cash)} {portfolio.currency}"


def build_reason_option(reason: str) -> Json:
    """Return one option that explains why the field offers nothing. Choosing it selects no portfolio."""
    return {"options": [build_option(reason, fields.NO_CHOICE)]}


def find_name_error(typed: str) -> str:
    """Return why the text is not a valid portfolio name. Empty if the name is valid."""
    try:
        parse_portfolio(typed)
    except InvalidName as error:
        return str(error)
    return ""


def _parse_new_name(existing: list[str], typed: str) -> str:
    try:
        name = parse_portfolio(typed)
    except InvalidName:
        return ""
    return "" if name_key(name) in {name_key(other) for other in existing} else name
