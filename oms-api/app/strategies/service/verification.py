"""Verify the journals of strategies: their hash chains, and their ends against the saved states."""

from collections.abc import Iterator

from sqlalchemy import Connection

from app.audit.rules.actions import ActionDifference
from app.strategies.queries.journal import iterate_inputs, list_journals, load_heads_by_journal
from app.strategies.rules.journal import NO_HEAD, compute_journal_end


def verify_journals(connection: Connection) -> Iterator[ActionDifference]:
    """Yield each journal that is broken, or does not end where the state of its strategy says.

    Old inputs are deleted. A journal without inputs can therefore end anywhere.
    """
    heads = load_heads_by_journal(connection)
    journals = list_journals(connection)
    for key in sorted(heads.keys() | journals):
        place = f"journal of strategy {key.strategy!r} of tenant {key.tenant_id}"
        end = compute_journal_end(iterate_inputs(connection, *key))
        head = heads.get(key)
        if end.broken is not None:
            yield ActionDifference(
                place, "hash", f"input {end.broken}", "a hash that follows the previous input"
            )
        elif head is None:
            yield ActionDifference(place, "state", "none", "one")
        elif end.head not in {head, NO_HEAD}:
            yield ActionDifference(place, "end", f"input {end.head.sequence}", f"input {head.sequence}")
