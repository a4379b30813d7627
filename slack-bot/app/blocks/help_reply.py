"""Build the help about commands in words."""

from app.blocks.replies import Reply
from app.blocks.text import build_section, escape
from app.forms.help_text import FOOTER, list_help_lines
from app.forms.portfolio_values import Member


def build_help_reply(member: Member | None) -> Reply:
    """Return the commands that the person may use."""
    lines = [
        f"`{escape(help_line.command)}` {escape(help_line.effect)}" for help_line in list_help_lines(member)
    ]
    role = f" Your role is {escape(member.role)}." if member and member.role else ""
    text = "\n".join([f"*What you can type here*{role}", *lines, FOOTER])
    return Reply(text, (build_section(text),))
