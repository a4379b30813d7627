"""One writer thread for many requests: the waiting commands are written together in one transaction.

A durable commit costs one disk flush, however many commands it contains. The writer takes the waiting
commands (at most `batch_limit`), runs the handler once, commits, and only then responds. Commands that
recently waited for a lock are written in transactions of their own. If a statement fails before COMMIT, the
writer retries the batch, then each half on its own, and so on: one failing command does not affect the
others, and is found in few transactions. If the connection is lost before COMMIT, nothing was recorded. If it
is lost during COMMIT, the writer checks the status of the transaction and one of its rows.

No COMMIT is sent later than COMMIT_WITHIN_SECONDS after the submission of its oldest command. A COMMIT that
was sent may take longer: it cannot be withdrawn.
"""

from app.group_commit.handler import BatchHandler, BatchMetrics, BatchResult, CommitCheck, RetainedState
from app.group_commit.queue import COMMIT_WITHIN_SECONDS, GroupCommit

__all__ = [
    "COMMIT_WITHIN_SECONDS",
    "BatchHandler",
    "BatchMetrics",
    "BatchResult",
    "CommitCheck",
    "GroupCommit",
    "RetainedState",
]
