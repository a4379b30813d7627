"""Verifies the trails of a live database: their hash chains and their stored heads."""

from typing import NamedTuple

from sqlalchemy import Connection

from app.audit.queries import trail as queries
from app.audit.rules.chain import COLUMNS, Head
from app.audit.rules.export_verification import TRAIL, ExportChain, ExportVerifier, serialize_line


class TrailResult(NamedTuple):
    """The number of entries read, and the first error, if any."""

    trails: int
    entries: int
    lie: str | None


def examine_trails(connection: Connection) -> TrailResult:
    """Verify all trails that the connection may see, in bounded memory, up to the first error."""
    trails = entries = 0
    for tenant_id, head in queries.get_all_heads(connection).items():
        proof, lie = _prove(connection, tenant_id, head)
        trails, entries = trails + 1, entries + proof.lines
        if lie:
            return TrailResult(trails, entries, f"tenant {tenant_id}, entry {proof.lines}: {lie}")
    return TrailResult(trails, entries, None)


def _prove(connection: Connection, tenant_id: int, head: Head) -> tuple[ExportVerifier, str | None]:
    proof = ExportVerifier((TRAIL,), {ExportChain(tenant_id): head})
    for row in queries.iterate_entries(connection, tenant_id):
        finding = proof.take(serialize_line(COLUMNS, row))
        if finding:
            return proof, finding.what
    missing = proof.finish()
    if missing:
        return proof, missing.what
    return proof, "the trail's head knows nothing of it" if proof.unproven else None
