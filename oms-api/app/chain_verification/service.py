"""Verify the hash chains of the audit log and of the ledger: a job."""

import logging
from collections.abc import Iterator

from sqlalchemy import Engine

from app.audit.rules.chain import START, Head
from app.chain_verification import queries
from app.chain_verification.rules.segments import (
    BrokenChain,
    ChainKey,
    ChainSegment,
    Checkpoint,
    plan_new_rows,
    plan_repeated_rows,
    split_segment,
    verify_rows,
)
from app.clock import Now
from app.database import ALL_TENANTS, snapshot, unit_of_work
from app.events.service.outbox import publish_event
from app.jobs.service import Lease

VERIFY_CHAINS = "verify chains"
ROWS_PER_READ = 1_000  # rows in a snapshot, some 1 MB
BROKEN = "chain.broken"
_LOG = logging.getLogger(__name__)


class ChainsBroken(Exception):
    """Rows of the audit log or of the ledger were changed or deleted outside of the service."""


class ChainVerifier:
    """Verifies all hash chains, and stores the result of each.

    `rules.segments` describes which rows it reads. `chunk` is how many of them it reads on one snapshot.
    """

    def __init__(self, engine: Engine, now: Now, chunk: int = ROWS_PER_READ) -> None:
        self._engine, self._now, self._chunk = engine, now, chunk

    def verify(self, lease: Lease) -> None:
        """Verify all chains. Raises ChainsBroken after all of them were read, if one is broken.

        A run that was killed has stored its progress, and the next run continues there.
        """
        with snapshot(self._engine, ALL_TENANTS) as connection:
            heads, checkpoints = (
                queries.load_heads_by_key(connection),
                queries.load_checkpoints_by_key(connection),
            )
        keys = sorted({key for key, head in heads.items() if head != START} | checkpoints.keys())
        broken_chains = 0
        for key in keys:
            before, head = checkpoints.get(key, Checkpoint()), heads.get(key, START)
            broken_chains += self._verify_chain(key, before, head, lease)
        if broken_chains:
            chains = f"{broken_chains} of {len(keys)} hash chains are broken"
            raise ChainsBroken(f"{chains}. Run `python -m app.verify`.")

    def _verify_chain(self, key: ChainKey, before: Checkpoint, head: Head, lease: Lease) -> bool:
        """Verify a chain up to `head`, store the result, and return whether it is broken."""
        checkpoint, broken_chain = before, None
        try:
            for verified_head in self._verify_segment(key, plan_new_rows(before, head)):
                checkpoint = checkpoint._replace(verified=verified_head)
                self._save_progress(key, checkpoint, lease)
            for repeated_head in self._verify_segment(key, plan_repeated_rows(before)):
                checkpoint = checkpoint._replace(repeated=repeated_head)
                self._save_progress(key, checkpoint, lease)
        except BrokenChain as error:
            broken_chain = error
        self._save_result(key, checkpoint, broken_chain)
        return broken_chain is not None

    def _verify_segment(self, key: ChainKey, segment: ChainSegment) -> Iterator[Head]:
        """Yield the last row of each verified part of a segment. Raises BrokenChain."""
        while True:
            part = split_segment(segment, self._chunk)
            with snapshot(self._engine, key.tenant_id) as connection:
                rows = queries.list_rows(connection, key, part.start.sequence, part.end)
            head = verify_rows(key.kind, rows, part)
            yield head
            if part == segment:
                return
            segment = segment._replace(start=head)

    def _save_progress(self, key: ChainKey, checkpoint: Checkpoint, lease: Lease) -> None:
        with unit_of_work(self._engine, key.tenant_id) as connection:
            queries.save_checkpoint(connection, key, checkpoint, self._now())
        lease.renew_if_old()

    def _save_result(self, key: ChainKey, checkpoint: Checkpoint, broken_chain: BrokenChain | None) -> None:
        """Store the result of a run, and publish an event if the chain is broken, once for each reason."""
        now, failure = self._now(), None if broken_chain is None else str(broken_chain)
        with unit_of_work(self._engine, key.tenant_id) as connection:
            queries.save_checkpoint(connection, key, checkpoint._replace(failure=failure), now)
            if broken_chain is not None and failure != checkpoint.failure:
                _LOG.error("the chain %s of tenant %d is broken: %s", key.kind, key.tenant_id, failure)
                payload = {"chain": key.kind, "sequence": broken_chain.sequence, "reason": failure}
                payload |= {"portfolio_id": key.portfolio_id} if key.portfolio_id else {}
                publish_event(connection, key.tenant_id, BROKEN, payload, now)
