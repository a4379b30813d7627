"""What Slack delivers, acknowledged and handed on."""

from slack_bolt import App

from app.handlers import commands, events, installation_check, interactions, options
from app.replies.desk import Desk
from app.replies.live_price import OpenForms


def register(app: App, desk: Desk) -> None:
    """Connect every handler, behind the check of the installation."""
    installation_check.register(app, desk)
    forms = OpenForms()
    commands.register(app, desk)
    interactions.register(app, desk, forms)
    options.register(app, desk, forms)
    events.register(app, desk)
