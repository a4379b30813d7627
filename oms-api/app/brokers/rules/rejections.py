"""Simulated rejections, reproducible by a seed."""

import hashlib

from app.brokers.rules.settings import PaperSettings

_HASH_RANGE = 1 << 32
REASON = "Rejected by the exercise of `PAPER_REJECT_SHARE`."


def simulate_rejection(settings: PaperSettings, order_id: str) -> str | None:
    """Return the reason for which the order is rejected, or None.

    The seed selects the share `reject_share` of all order ids.
    """
    if not settings.reject_share:
        return None
    digest = hashlib.blake2b(f"{settings.seed}|{order_id}".encode(), digest_size=4).digest()
    return REASON if int.from_bytes(digest, "big") < settings.reject_share * _HASH_RANGE else None
