"""Return the options of the portfolio field."""

from slack_bolt import Ack, App, BoltContext

from app.forms import fields
from app.handlers.boundary import Body, get_origin, guarded
from app.services.dependencies import Services
from app.services.live_price import OpenForms, postpone_redraw
from app.services.suggestions import suggest_portfolios


def register(app: App, services: Services, forms: OpenForms) -> None:
    """Register the handler of the portfolio field."""

    def portfolios(ack: Ack, body: Body, context: BoltContext) -> None:
        postpone_redraw(forms, str((body.get("view") or {}).get("id", "")))
        ack(suggest_portfolios(services, get_origin(body, context), str(body.get("value", ""))))

    app.options(fields.PORTFOLIO_ACTION)(guarded(portfolios, build_no_options, build_no_options))


def build_no_options(_: str) -> Body:
    """Return an empty list of options."""
    return {"options": []}
