"""Return the options of the trade form's portfolio field and of the selects of the settings form."""

from slack_bolt import Ack, BoltContext

from app.forms import action_ids, fields
from app.handlers.boundary import Body, get_origin, guard_handler
from app.handlers.registry import HandlerRegistry
from app.services.dependencies import Services
from app.services.forms.suggestions import suggest_portfolios
from app.services.orders.portfolio_search import suggest_existing_portfolios
from app.services.settings.preferences import suggest_time_zones
from app.services.state.open_forms import OpenForms, postpone_redraw


def register(registry: HandlerRegistry, services: Services, forms: OpenForms) -> None:
    """Register the handlers of the fields."""

    def handle_portfolio_search(ack: Ack, body: Body, context: BoltContext) -> None:
        postpone_redraw(forms, str((body.get("view") or {}).get("id", "")))
        ack(suggest_portfolios(services, get_origin(body, context), str(body.get("value", ""))))

    def handle_default_portfolio_search(ack: Ack, body: Body, context: BoltContext) -> None:
        ack(suggest_existing_portfolios(services, get_origin(body, context), str(body.get("value", ""))))

    def handle_time_zone_search(ack: Ack, body: Body, context: BoltContext) -> None:
        get_origin(body, context)
        ack(suggest_time_zones(str(body.get("value", ""))))

    registry.options(fields.PORTFOLIO_ACTION)(
        guard_handler(handle_portfolio_search, build_no_options, build_no_options)
    )
    for action_id, handler in (
        (action_ids.SETTINGS_PORTFOLIO, handle_default_portfolio_search),
        (action_ids.SETTINGS_TIME_ZONE, handle_time_zone_search),
    ):
        registry.options(action_id)(guard_handler(handler, build_no_options, build_no_options))


def build_no_options(_: str) -> Body:
    """Return an empty list of options."""
    return {"options": []}
