"""Download the files of the daily reports that the OMS announces by events."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from app.oms_client.client import OmsClient


@dataclass(frozen=True)
class DailyReport:
    """A report that can be downloaded. `report` is the name of an export, `date` the day in ISO 8601."""

    report: str
    date: str
    file_format: str
    period_start: str
    period_end: str

    @property
    def path(self) -> str:
        """Return the path of its route."""
        return f"/api/v1/exports/{quote(self.report, safe='')}"


def parse_report(payload: Mapping[str, Any]) -> DailyReport | None:
    """Return the report that the data of an event describes, None if fields are missing."""
    values = {name: payload.get(name) for name in DailyReport.__dataclass_fields__}
    if not all(isinstance(value, str) and value for value in values.values()):
        return None
    return DailyReport(**{name: str(value) for name, value in values.items()})


def download_report(oms: OmsClient, report: DailyReport, *, max_bytes: int, request_id: str) -> bytes | None:
    """Return the file, None if it is larger than `max_bytes`. Raises `OmsError`."""
    params = {"from": report.period_start, "to": report.period_end, "format": report.file_format}
    return oms.download_as_bot(report.path, params, max_bytes=max_bytes, request_id=request_id)
