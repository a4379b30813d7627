"""Send a table of the OMS as a CSV file, in a direct message."""

import csv
import io
import logging
from dataclasses import replace

from app.blocks.replies import Reply, build_sentence_reply
from app.blocks.text import escape, format_literal
from app.delivery.file_sender import File
from app.delivery.reply_sender import ReplyAddress
from app.delivery.scopes import FILES_WRITE
from app.errors import OmsError, SlackError, SlackRefused, format_log_name
from app.forms.periods import format_period
from app.forms.text_commands import EXPORT_TABLES, TextCommand
from app.oms_client import Person
from app.oms_client.portfolio_client import PortfolioClient
from app.services.dependencies import Services
from app.services.request_failures import describe_read_failure

log = logging.getLogger(__name__)

MAX_EXPORT_BYTES = 10_000_000
CURRENT_TABLES = frozenset({"risk"})  # tables without a period: their figures are those of now
TITLES = {"pnl": "P&L", "risk": "Use of risk limits"}
NO_TABLE = f"Name what to export: {', '.join(EXPORT_TABLES)}. Type it like `export trades 2026-11 in Growth`."
NO_ROWS = "There is nothing to export: no rows match."
TOO_LARGE = (
    f"This export is larger than {MAX_EXPORT_BYTES // 1_000_000} MB, which is the most that I send here. "
    "Name a month, a day or a portfolio, such as `export trades 2026-11 in Growth`."
)
NO_SCOPE = (
    "I may not send files in this workspace. Please ask an administrator to install this app again: "
    "it needs the permission `files:write`."
)
NOT_SENT = "Slack did not accept the file. Please try again."


def send_export(services: Services, person: Person, command: TextCommand, to: ReplyAddress) -> None:
    """Export the rows that the command selects, and send the file. Notify the person, also of a failure."""
    reply = _send_table(services, person, command, to)
    if reply is not None:
        services.reply_sender.send(to, reply)


def _send_table(services: Services, person: Person, command: TextCommand, to: ReplyAddress) -> Reply | None:
    """Return the reply, None if the file in this channel is the reply."""
    is_allowed = services.slack.scopes.has(FILES_WRITE)
    if not (command.table and is_allowed):
        return build_sentence_reply(NO_TABLE if is_allowed else NO_SCOPE)
    if command.table in CURRENT_TABLES:
        command = replace(command, since="", until="")
    extra = {"request_id": to.request_id, "person": person.actor, "table": command.table}
    try:
        client = PortfolioClient(services.oms, person, to.request_id)
        content = client.export_csv(command, max_bytes=MAX_EXPORT_BYTES)
    except OmsError as error:
        log.info("Nothing exported", extra=extra | {"fault": format_log_name(error)})
        return build_sentence_reply(describe_read_failure(error, to.request_id))
    if content is None:
        return build_sentence_reply(TOO_LARGE)
    rows = count_rows(content)
    if not rows:
        return build_sentence_reply(NO_ROWS)
    period = format_period(command.since, command.until)
    file = File(f"{'-'.join(part for part in (command.table, period) if part)}.csv", content)
    try:
        return _send_file(services, file, _describe_file(command, period, rows), to)
    except SlackError as error:
        log.warning("Export not sent", extra=extra | {"fault": str(error)})
        is_scope_missing = isinstance(error, SlackRefused) and error.code == "missing_scope"
        return build_sentence_reply(NO_SCOPE if is_scope_missing else NOT_SENT)


def _send_file(services: Services, file: File, comment: str, to: ReplyAddress) -> Reply | None:
    channel = to.channel if to.is_direct else services.slack.open_direct_channel(to.user)
    services.file_sender.share(file, channel, comment, to.thread_ts if to.is_direct else "")
    if channel == to.channel:
        return None
    return build_sentence_reply(f"{comment} The file `{file.name}` is in your direct messages with me.")


def get_title(table: str) -> str:
    """Return the name of a table for people."""
    return TITLES.get(table, table.capitalize())


def count_rows(content: bytes) -> int:
    """Return the number of rows of a CSV file, without its heading."""
    with io.StringIO(content.decode("utf-8", "replace"), newline="") as lines:
        return max(0, sum(1 for row in csv.reader(lines) if row) - 1)


def _describe_file(command: TextCommand, period: str, rows: int) -> str:
    where = f" in {format_literal(command.portfolio)}" if command.portfolio else ""
    when = f" of {escape(period)}" if period else " now" if command.table in CURRENT_TABLES else ""
    return f"*{escape(get_title(command.table))}*{when}{where}: {rows:,} row{'' if rows == 1 else 's'}."
