"""Verify the trails of a live database: their hash chains and their stored heads."""

from typing import NamedTuple

from sqlalchemy import Connection

from app.audit.queries import trail as queries
from app.audit.rules.chain import COLUMNS, Head
from app.audit.rules.export_verification import TRAIL, ExportChain, ExportVerifier, serialize_line


class TrailResult(NamedTuple):
    """The number of entries read, and the first error, if any."""

    trails: int
    entries: int
    problem: str | None


def examine_trails(connection: Connection) -> TrailResult:
    """Verify all trails that the connection may see, in bounded memory, up to the first error."""
    trails = entries = 0
    for tenant_id, head in queries.get_all_heads(connection).items():
        verifier, problem = _verify_trail(connection, tenant_id, head)
        trails, entries = trails + 1, entries + verifier.lines
        if problem:
            return TrailResult(trails, entries, f"tenant {tenant_id}, entry {verifier.lines}: {problem}")
    return TrailResult(trails, entries, None)


def _verify_trail(connection: Connection, tenant_id: int, head: Head) -> tuple[ExportVerifier, str | None]:
    verifier = ExportVerifier((TRAIL,), {ExportChain(tenant_id): head})
    for row in queries.iterate_entries(connection, tenant_id):
        finding = verifier.verify_line(serialize_line(COLUMNS, row))
        if finding:
            return verifier, finding.problem
    missing = verifier.verify_end()
    if missing:
        return verifier, missing.problem
    return verifier, "the trail's head knows nothing of it" if verifier.uncovered_lines else None
