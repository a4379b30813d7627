"""Build the overview: the view in the home tab of the app."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from app.blocks.order_reports import (
    MAX_APPROVALS,
    NO_APPROVALS,
    build_order_table,
    build_trade_table,
    format_person,
    list_approval_blocks,
)
from app.blocks.portfolio_reports import (
    NO_PORTFOLIOS,
    NO_POSITIONS,
    Page,
    build_portfolio_table,
    build_position_table,
    describe_portfolio,
)
from app.blocks.preference_forms import CHANGE, describe_settings
from app.blocks.replies import build_actions, build_button, build_position_select
from app.blocks.risk_reports import describe_switches
from app.blocks.tables import Table, build_data_tables, build_table_lines
from app.blocks.text import Json, build_mrkdwn, build_section, escape, format_literal
from app.forms import action_ids
from app.forms.overview_tabs import Tab, list_tabs
from app.forms.portfolio_values import (
    ApprovalSummary,
    KillSwitch,
    Member,
    OrderSummary,
    PortfolioValue,
    TradeSummary,
)
from app.forms.preferences import Preferences

NO_ORDERS = "There are no working orders. Orders that wait for a price or an approval appear here."
NO_TRADES = "No trades yet. `/trade buy 100 AAPL @ 175 in Growth` reports the first one."
TYPED_HELP = (
    "`/desk help` shows what you can type. In a direct message to me, type the same words without `/desk`."
)
MAX_WARNINGS = 5
MAX_SELECT_CHARACTERS = 50_000  # of the options that open a position; Slack accepts 250,000 in a home tab


@dataclass(frozen=True)
class Overview:
    """The values that the tab shows. Only the values of that tab are read."""

    member: Member
    tab: Tab
    switches: Sequence[KillSwitch] = ()
    portfolios: Sequence[PortfolioValue] = ()
    positions: Page = field(default_factory=lambda: Page([]))
    orders: Sequence[OrderSummary] = ()
    approvals: Sequence[ApprovalSummary] = ()
    trades: Sequence[TradeSummary] = ()
    preferences: Preferences | None = None
    is_cut: bool = False
    shown_at: str = ""


@dataclass(frozen=True)
class Content:
    """The content of a tab: blocks, then tables, then blocks."""

    head: Sequence[Json] = ()
    tables: Sequence[Table] = ()
    foot: Sequence[Json] = ()


def build_overview(overview: Overview, *, with_tables: bool) -> Json:
    """Return the view. Without tables, for workspaces that refuse them, rows are lines of text."""
    content = CONTENTS[overview.tab](overview)
    tables = (build_data_tables if with_tables else build_table_lines)(*content.tables)
    warnings = _build_warnings(describe_switches(overview.switches))
    age = [{"type": "context", "elements": [build_mrkdwn(f"As of {overview.shown_at}")]}]
    blocks = [_build_tabs(overview), *warnings, *content.head, *tables, *content.foot, *age]
    return {"type": "home", "private_metadata": overview.tab.value, "blocks": blocks}


def build_overview_notice(sentence: str) -> Json:
    """Return an overview with one sentence in mrkdwn."""
    return {"type": "home", "private_metadata": "", "blocks": [build_section(sentence)]}


def _build_warnings(lines: Sequence[str]) -> list[Json]:
    omitted_count = len(lines) - MAX_WARNINGS
    more = [build_section(f"and {omitted_count} more: `/desk risk` lists them")] if omitted_count > 0 else []
    return [*(build_section(f":octagonal_sign: {line}") for line in lines[:MAX_WARNINGS]), *more]


def _build_tabs(overview: Overview) -> Json:
    tabs = list_tabs(overview.member)
    elements = [
        build_button(
            tab.value.capitalize(),
            action_ids.TAB_PREFIX + tab.value,
            tab.value,
            "primary" if tab is overview.tab else "",
        )
        for tab in tabs
    ]
    return build_actions(*elements, block_id="tabs")


def _build_summary(overview: Overview) -> Content:
    buttons = [*_build_trade_buttons(overview), *_build_switch_buttons(overview)]
    foot = [build_actions(*buttons)] if buttons else []
    if not overview.portfolios:
        return Content([build_section(NO_PORTFOLIOS)], foot=[*foot, build_section(TYPED_HELP)])
    if len(overview.portfolios) == 1:
        return Content([build_section("\n".join(describe_portfolio(overview.portfolios[0])))], foot=foot)
    table = build_portfolio_table(overview.portfolios, is_cut=overview.is_cut)
    return Content(tables=[table], foot=foot)


def _build_trade_buttons(overview: Overview) -> list[Json]:
    if not overview.member.has_scope("trade"):
        return []
    button = build_button("Place an order", action_ids.ORDER_OPEN, style="primary")
    return [button, build_button("Report a trade", action_ids.TRADE_OPEN)]


def _build_switch_buttons(overview: Overview) -> list[Json]:
    if not overview.member.has_scope("risk", "admin"):
        return []
    stop = build_button("Stop trading…", action_ids.FORM_OPEN, "halt", "danger")
    is_stopped = any(not switch.is_active for switch in overview.switches)
    resume = {"action_id": f"{action_ids.FORM_OPEN}:resume"}
    return [
        stop,
        *([build_button("Resume trading…", action_ids.FORM_OPEN, "resume") | resume] if is_stopped else []),
    ]


def _build_positions(overview: Overview) -> Content:
    if not overview.positions.rows:
        return Content([build_section(NO_POSITIONS)])
    table = build_position_table("Positions", overview.positions, with_portfolio=True)
    select = build_position_select(overview.positions.rows, max_characters=MAX_SELECT_CHARACTERS)
    return Content([build_actions(select, block_id="positions")], [table])


def _build_orders(overview: Overview) -> Content:
    if not overview.orders:
        return Content([build_section(NO_ORDERS)])
    table = build_order_table("Working orders", overview.orders, is_cut=overview.is_cut)
    foot = []
    if overview.member.has_scope("trade", "risk"):
        foot = [build_actions(build_button("Cancel orders…", action_ids.FORM_OPEN, "cancel"))]
    return Content(tables=[table], foot=foot)


def _build_approvals(overview: Overview) -> Content:
    if not overview.approvals:
        return Content([build_section(NO_APPROVALS)])
    omitted_count = len(overview.approvals) - MAX_APPROVALS
    more = [build_section(f"and {omitted_count} more")] if omitted_count > 0 else []
    return Content([*list_approval_blocks(overview.approvals), *more])


def _build_activity(overview: Overview) -> Content:
    tables = []
    if overview.trades:
        tables.append(build_trade_table(overview.trades, is_cut=False))
    if overview.orders:
        tables.append(build_order_table("Newest orders", overview.orders, is_cut=False))
    return Content([] if overview.trades else [build_section(NO_TRADES)], tables)


def _build_settings(overview: Overview) -> Content:
    member = overview.member
    portfolios = (
        "all"
        if member.portfolios is None
        else ", ".join(map(format_literal, member.portfolios[:50])) or "none"
    )
    lines = [
        f"You are {format_person(member.actor)} at {format_literal(member.tenant_name)}.",
        f"Role: *{escape(member.role or 'none')}* · permissions: {escape(', '.join(member.scopes))}",
        f"Portfolios: {portfolios}",
        "An administrator of the desk changes roles and portfolios.",
        TYPED_HELP,
    ]
    if overview.preferences is None:
        return Content([build_section("\n".join(lines))])
    settings = build_section("\n".join(describe_settings(overview.preferences)))
    change = build_actions(build_button(CHANGE, action_ids.FORM_OPEN, "settings"))
    return Content([build_section("\n".join(lines)), settings, change])


CONTENTS = {
    Tab.OVERVIEW: _build_summary,
    Tab.POSITIONS: _build_positions,
    Tab.ORDERS: _build_orders,
    Tab.APPROVALS: _build_approvals,
    Tab.ACTIVITY: _build_activity,
    Tab.SETTINGS: _build_settings,
}
