"""Change the parameters of a strategy within their ranges."""

from collections.abc import Mapping

from app.blocks.form_parts import build_text_view
from app.blocks.strategy_forms import PARAMETERS_TITLE, build_parameters_form
from app.blocks.text import Json, escape, format_literal
from app.errors import InvalidEntries
from app.forms import action_ids
from app.forms.request_context import RequestContext
from app.forms.strategy_values import StrategyParameter
from app.oms_client.portfolio_client import PortfolioClient
from app.services.clients import create_client
from app.services.dependencies import Services
from app.services.forms.submission import FormAction, FormSubmission

PERMISSION = "changing strategies"
NO_CHANGES = "Your role at this desk does not include changing strategies. Please ask an administrator."
NO_PARAMETERS = "*{name}* has no parameters that you can change."
NOTHING_CHANGED = "Every parameter has that value already."
TAKEN_OVER = "If the strategy is running, it uses them from its next input."


def load_parameters_form(client: PortfolioClient, name: str, context: RequestContext) -> Json:
    """Return the form of a strategy's parameters. Raises `OmsError`."""
    if not client.get_member().has_scope("trade"):
        return build_text_view(PARAMETERS_TITLE, NO_CHANGES)
    parameters = client.strategies.list_parameters(name)
    if not parameters:
        return build_text_view(PARAMETERS_TITLE, NO_PARAMETERS.format(name=format_literal(name)))
    return build_parameters_form(parameters, context)


def set_parameters(services: Services, submission: FormSubmission) -> tuple[str, str]:
    """Set the parameters that the form changes. Raises `InvalidEntries` or `OmsError`."""
    name = submission.context.subject
    client = create_client(services, submission.origin).strategies
    typed = {
        parameter: text
        for parameter in client.list_parameters(name)
        if (text := submission.entries.get(f"{action_ids.PARAMETER_PREFIX}{parameter.name}")) is not None
    }
    problems = {
        f"{action_ids.PARAMETER_PREFIX}{strategy_parameter.name}": problem
        for strategy_parameter, text in typed.items()
        if (problem := strategy_parameter.find_problem(text))
    }
    if problems:
        raise InvalidEntries(problems)
    changes = {
        strategy_parameter: text
        for strategy_parameter, text in typed.items()
        if not strategy_parameter.is_value(text)
    }
    if not changes:
        return PARAMETERS_TITLE, NOTHING_CHANGED
    values = {strategy_parameter.name: text for strategy_parameter, text in changes.items()}
    client.set_parameters(name, values, idempotency_key=submission.key)
    return PARAMETERS_TITLE, _describe_changes(name, changes)


def _describe_changes(name: str, changes: Mapping[StrategyParameter, str]) -> str:
    lines = [
        f"{escape(parameter.name)}: {format_literal(parameter.text)} → {format_literal(text)}"
        for parameter, text in changes.items()
    ]
    return "\n".join([f"The parameters of *{format_literal(name)}* are changed. {TAKEN_OVER}", *lines])


PARAMETERS = FormAction(set_parameters, PERMISSION)
