"""Upload the daily reports of the OMS to the channel for reports."""

import json
import logging
import time
from collections.abc import Iterable
from dataclasses import asdict

from app.blocks.messages import build_notice
from app.blocks.text import escape
from app.delivery.file_sender import File
from app.delivery.notification_store import Notification
from app.errors import OmsError, QueueFull, SlackError, SlackUnreachable, format_log_name
from app.oms_client.daily_reports import DailyReport, download_report
from app.services.dependencies import Services
from app.services.failure_messages import POSSIBLE_REPEAT_HINT
from app.services.queries.exports import MAX_EXPORT_BYTES, get_title
from app.storage.claimed_ids import ClaimedIds

log = logging.getLogger(__name__)

REPORT = "report.ready"
CLAIM_LEASE_SECONDS = 300.0  # longer than an upload; what failed is tried again after it
MAX_DELIVERY_AGE_SECONDS = 24 * 3600.0
REPEATED_REPORT_HINT = "The OMS generated this report again, so you may have an earlier copy."
TOO_LARGE = (
    "{title} is larger than {megabytes} MB, which is the most that I send here. "
    "Download it from the OMS with `GET {path}`."
)


def store_report(services: Services, channel: str, report: DailyReport, event_id: str) -> None:
    """Store that a report must be uploaded. Return at once; `start_uploads` uploads it.

    A report that was announced before, as by a repeated run of the OMS, is uploaded with a note.
    """
    now = time.time()
    key = f"{event_id}:{channel}"
    is_new = ClaimedIds(services.storage).claim(f"report:{services.team}:{report.report}:{report.date}")
    text = json.dumps({"report": asdict(report), "is_new": is_new})
    services.notifications.add(
        Notification(
            key=key,
            team=services.team,
            user="",
            channel=channel,
            event_type=REPORT,
            text=text,
            created_at=now,
            due_at=now,
        )
    )


def start_uploads(services: Services, notifications: Iterable[Notification]) -> None:
    """Upload the reports that are due on the threads for exports. A report waits there once."""
    for pending in notifications:
        if not services.queued_order_work.add(_get_work_key(pending)):
            continue
        try:
            services.export_workers.submit(pending.key, _claim_and_upload, services, pending)
        except QueueFull:  # the report is still due
            services.queued_order_work.remove(_get_work_key(pending))


def _get_work_key(pending: Notification) -> str:
    return f"{REPORT}:{pending.key}"


def _claim_and_upload(services: Services, pending: Notification) -> None:
    """Upload a report, unless another bot does. The time in the queue is no part of the lease."""
    is_claimed = services.notifications.claim(pending, time.time() + CLAIM_LEASE_SECONDS)
    services.queued_order_work.remove(_get_work_key(pending))
    if is_claimed:
        _upload_or_postpone(services, pending)


def _upload_or_postpone(services: Services, pending: Notification) -> None:
    """Upload a report. Keep it for later if that fails, for up to a day."""
    extra = {"request_id": pending.key}
    try:
        _upload_report(services, pending)
    except (OmsError, SlackError) as error:
        log.warning("Report not uploaded", extra=extra | {"fault": format_log_name(error)})
        if not isinstance(error, SlackUnreachable):  # nothing was posted
            services.notifications.retract(pending.key)
    except Exception:  # such a report must not be repeated forever either
        log.exception("Report not uploaded", extra=extra)
    else:
        services.notifications.remove(pending.key)
        return
    if time.time() - pending.created_at > MAX_DELIVERY_AGE_SECONDS:
        services.notifications.remove(pending.key)


def _upload_report(services: Services, pending: Notification) -> None:
    stored = json.loads(pending.text)
    report = DailyReport(**stored["report"])
    title = f"{get_title(report.report)}, {report.date}"
    content = download_report(services.oms, report, max_bytes=MAX_EXPORT_BYTES, request_id=pending.key)
    hint = POSSIBLE_REPEAT_HINT if pending.attempts else "" if stored["is_new"] else REPEATED_REPORT_HINT
    comment = f"*{escape(title)}* {hint}".rstrip()
    if content is None:
        megabytes = MAX_EXPORT_BYTES // 1_000_000
        text = TOO_LARGE.format(title=comment, megabytes=megabytes, path=report.path)
        services.slack.post(pending.channel, build_notice(text))
        return
    file = File(f"{report.report}-{report.date}.{report.file_format}", content, title)
    services.file_sender.share(file, pending.channel, comment)
