"""Build the forms that request a backtest and change the parameters of a strategy."""

from collections.abc import Sequence
from datetime import date

from app.blocks.form_parts import build_choice, build_entry, build_modal, build_select
from app.blocks.text import (
    MAX_OPTION_VALUE_CHARACTERS,
    Json,
    build_option,
    build_section,
    format_literal,
    truncate,
)
from app.forms import action_ids
from app.forms.request_context import RequestContext
from app.forms.strategy_values import BOOLEAN, BOOLEAN_TEXTS, StrategyParameter

PARAMETERS_TITLE = "Parameters"
MAX_NAMES = 1000
MAX_PARAMETERS = 95  # a view has 100 blocks
MAX_VALUE_CHARACTERS = 1000
MAX_HINT_CHARACTERS = 150
MAX_SYMBOLS_CHARACTERS = 500
MAX_NAME_CHARACTERS = 100
NOT_REGISTERED = " This strategy is installed but not registered. Enter symbols."
SYMBOLS_EXAMPLE = "Example: AAPL, MSFT."
DATE_HINT = "UTC, inclusive."


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
        build_entry(
            action_ids.BACKTEST_SYMBOLS,
            "Symbols",
            symbols,
            is_optional=is_registered,
            hint=f"{SYMBOLS_EXAMPLE} Leave empty to use the strategy's symbols."
            if is_registered
            else SYMBOLS_EXAMPLE,
        ),
    ]
    return build_modal(
        "Backtest", blocks, context, submit="Run backtest", callback_id=action_ids.BACKTEST_FORM
    )


def _build_strategy(names: Sequence[str], chosen: str) -> Json:
    if chosen:
        unknown = "" if chosen in names else NOT_REGISTERED
        return build_section(
            f"Backtest of *{format_literal(truncate(chosen, MAX_NAME_CHARACTERS))}*.{unknown}"
        )
    options = [build_option(name, name) for name in names[:MAX_NAMES]]
    initial = options[0] if len(options) == 1 else None
    return build_entry(action_ids.BACKTEST_STRATEGY, "Strategy", build_select(options, initial))


def _build_day(block_id: str, label: str, day: date) -> Json:
    element = {"type": "datepicker", "initial_date": day.isoformat()}
    return build_entry(block_id, label, element, hint=DATE_HINT)


def build_parameters_form(parameters: Sequence[StrategyParameter], context: RequestContext) -> Json:
    """Return the form with the values of the parameters. The subject of the context is the strategy."""
    heading = f"Parameters of *{format_literal(truncate(context.subject, MAX_NAME_CHARACTERS))}*."
    if len(parameters) > MAX_PARAMETERS:
        heading += f" The first {MAX_PARAMETERS} of {len(parameters)} are shown."
    blocks = [build_section(heading), *map(_build_parameter, parameters[:MAX_PARAMETERS])]
    return build_modal(
        PARAMETERS_TITLE, blocks, context, submit="Change", callback_id=action_ids.PARAMETERS_FORM
    )


def _build_parameter(parameter: StrategyParameter) -> Json:
    parts = [parameter.description, parameter.type.capitalize(), parameter.range_text]
    hint = " · ".join(fact for fact in parts if fact)
    return build_entry(
        f"{action_ids.PARAMETER_PREFIX}{parameter.name}",
        parameter.name,
        _build_entry(parameter),
        is_optional=not (parameter.choices or parameter.is_number or parameter.type == BOOLEAN),
        hint=truncate(hint, MAX_HINT_CHARACTERS),
    )


def _build_entry(parameter: StrategyParameter) -> Json:
    if parameter.type == BOOLEAN:
        return build_choice({text: text for text in BOOLEAN_TEXTS}, parameter.value)
    choices = parameter.choices
    if choices and all(0 < len(choice) <= MAX_OPTION_VALUE_CHARACTERS for choice in choices):
        options = {choice: build_option(choice, choice) for choice in choices}
        return build_select(list(options.values()), options.get(parameter.value))
    value = truncate(parameter.text, MAX_VALUE_CHARACTERS)
    element: Json = {"type": "plain_text_input", "max_length": MAX_VALUE_CHARACTERS}
    return element | ({"initial_value": value} if value else {})
