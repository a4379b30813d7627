"""The tabs of the overview, which Slack calls the home tab of the app."""

from enum import StrEnum

from app.forms.portfolio_values import Member


class Tab(StrEnum):
    """A tab of the overview."""

    OVERVIEW = "overview"
    POSITIONS = "positions"
    ORDERS = "orders"
    APPROVALS = "approvals"
    ACTIVITY = "activity"
    SETTINGS = "settings"


DECISION_SCOPES = ("trade", "approve", "risk")  # scopes of those who may decide on orders


def list_tabs(member: Member) -> list[Tab]:
    """Return the tabs that a person sees: approvals only if the person may decide."""
    return [tab for tab in Tab if tab is not Tab.APPROVALS or member.has_scope(*DECISION_SCOPES)]


def parse_tab(text: str) -> Tab:
    """Return the tab of that name, the first one if there is none."""
    return next((tab for tab in Tab if tab.value == text), Tab.OVERVIEW)
