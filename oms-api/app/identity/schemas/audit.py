"""Request and response bodies of the audit log."""

from typing import Annotated, Any

import orjson
from pydantic import AfterValidator, BaseModel, Field

from app.audit.queries.entries import EntryFilter
from app.audit.rules.chain import ChainedEntry
from app.http.lists import Cursor, PageLimit, Period, QueryTime
from app.http.pages import DEFAULT_LIMIT


def _require_printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError("must not contain control or formatting characters")
    return value


SearchedText = Annotated[str, Field(min_length=1, max_length=400), AfterValidator(_require_printable)]


class AuditQuery(Period):
    """Filters and cursor of the list of audit entries."""

    limit: PageLimit = DEFAULT_LIMIT
    cursor: Cursor | None = None
    action: SearchedText | None = Field(None, examples=["user.changed"])
    actor: SearchedText | None = Field(None, examples=["slack:T1:U1"])
    target: SearchedText | None = None
    request_id: SearchedText | None = None
    since: QueryTime | None = Field(None, alias="from", description="At or after this instant")
    until: QueryTime | None = Field(None, alias="to", description="Before this instant")

    def filter(self) -> EntryFilter:
        """Return the filters without the cursor."""
        return EntryFilter(self.action, self.actor, self.target, self.request_id, self.since, self.until)


class EntryOut(BaseModel):
    """One recorded action, or several equal actions combined."""

    sequence: int = Field(examples=[1], description="Position in the audit log, from 1, without gaps")
    at: str = Field(
        examples=["2026-11-20T15:04:05.123456Z"],
        description="Time of the action, or of the first of several, in UTC",
    )
    actor: str = Field(examples=["slack:T1:U1"], description="Person, or `key:` and the name of the key")
    via: str = Field(examples=["desk-bot"], description="Key or session of the actor")
    action: str = Field(examples=["user.changed"])
    target: str = Field(description="Object of the action")
    address: str | None = Field(examples=["192.0.2.7"])
    request_id: str | None
    before: dict[str, Any] | None = Field(examples=[{"role": "viewer"}])
    after: dict[str, Any] | None = Field(examples=[{"role": "trader"}])
    count: int = Field(examples=[1], description="Number of equal actions")
    hash: str = Field(description="SHA-256 over the predecessor's hash and this entry's canonical form")


class HeadOut(BaseModel):
    """The current head of the audit log.

    A copy kept elsewhere later proves that the log was not rewritten or truncated.
    """

    tenant: int = Field(examples=[1])
    sequence: int = Field(examples=[311], description="Number of entries in the audit log")
    hash: str = Field(description="Hash of the last entry; zeros if there is none")
    at: str = Field(examples=["2026-11-20T15:04:05.123456Z"], description="Time of the response, in UTC")


def serialize_entry(row: ChainedEntry) -> dict[str, Any]:
    """Serialize an entry as `EntryOut`."""
    fields = row._asdict()
    del fields["tenant_id"], fields["hash_version"]
    for side in ("before", "after"):
        fields[side] = None if fields[side] is None else orjson.loads(fields[side])
    return fields
