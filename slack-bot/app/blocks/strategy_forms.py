"""Build the form that requests a backtest."""

from collections.abc import Sequence
from datetime import date

from app.blocks.form_parts import build_input, build_modal, build_select
from app.blocks.text import Json, cut, literal, option, section
from app.forms import action_ids
from app.forms.request_context import RequestContext

MAX_NAMES = 1000
MAX_SYMBOLS_CHARACTERS = 500
MAX_NAME_CHARACTERS = 100
NOT_REGISTERED = " No strategy of this name is registered here: it is an installed one, and needs symbols."
IN_UTC = "In UTC. The day is included."


def build_backtest_form(names: Sequence[str], days: tuple[date, date], context: RequestContext) -> Json:
    """Return the form. The subject of the context is the strategy; if it is empty, the form asks for it.

    `names` are the registered strategies with code, `days` the first and the last day to propose.
    """
    first_day, last_day = days
    symbols = {"type": "plain_text_input", "max_length": MAX_SYMBOLS_CHARACTERS}
    is_registered = not context.subject or context.subject in names
    blocks = [
        _build_strategy(names, context.subject),
        _build_day(action_ids.BACKTEST_FIRST_DAY, "First day", first_day),
        _build_day(action_ids.BACKTEST_LAST_DAY, "Last day", last_day),
        build_input(
            action_ids.BACKTEST_SYMBOLS,
            "Symbols",
            symbols,
            optional=is_registered,
            hint="Such as AAPL, MSFT. Empty: those of the strategy."
            if is_registered
            else "Such as AAPL, MSFT.",
        ),
    ]
    return build_modal(
        "Backtest", blocks, context, submit="Run backtest", callback_id=action_ids.BACKTEST_FORM
    )


def _build_strategy(names: Sequence[str], chosen: str) -> Json:
    if chosen:
        unknown = "" if chosen in names else NOT_REGISTERED
        return section(f"Backtest of *{literal(cut(chosen, MAX_NAME_CHARACTERS))}*.{unknown}")
    options = [option(each, each) for each in names[:MAX_NAMES]]
    initial = options[0] if len(options) == 1 else None
    return build_input(action_ids.BACKTEST_STRATEGY, "Strategy", build_select(options, initial))


def _build_day(block_id: str, label: str, day: date) -> Json:
    element = {"type": "datepicker", "initial_date": day.isoformat()}
    return build_input(block_id, label, element, hint=IN_UTC)
