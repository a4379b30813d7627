"""What Slack delivers, acknowledged and handed on."""

from slack_bolt import App

from app.handlers import commands, events, interactions, options
from app.replies.desk import Desk


def register(app: App, desk: Desk) -> None:
    """Connect every handler."""
    commands.register(app, desk)
    interactions.register(app, desk)
    options.register(app, desk)
    events.register(app, desk)
