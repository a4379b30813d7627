"""Versions of what processes cache of a portfolio: its `orders_stamp`, which begins with an epoch.

A change of open orders renews the rest of the stamp. What was cached before can then be updated with what has
changed. A repair of rows draws a new epoch: everything cached before is then dropped.
"""

import secrets

_EPOCH_LENGTH = 6
_FIRST_EPOCH = "A" * _EPOCH_LENGTH  # of portfolios that had no open orders yet


def create_stamp() -> str:
    """Return a stamp of a new epoch."""
    return secrets.token_urlsafe(12)  # 16 characters


def renew_stamp(stamp: str) -> str:
    """Return a new stamp of the same epoch."""
    return get_epoch(stamp) + secrets.token_urlsafe(8)[:10]


def get_epoch(stamp: str) -> str:
    """Return the epoch of a stamp."""
    return stamp[:_EPOCH_LENGTH] or _FIRST_EPOCH
