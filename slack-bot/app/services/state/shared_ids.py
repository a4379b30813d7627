"""Ids that are claimed once by all bots, such as ids of deliveries, which Slack may repeat."""

from collections.abc import Callable

from app.services.state.submission_registry import RecentIds
from app.storage.claimed_ids import ClaimedIds
from app.storage.storage import Storage


class SharedIds:
    """Claim ids in memory, and in the database if other bots share it."""

    def __init__(self, storage: Storage, get_team: Callable[[], str]):
        self._recent = RecentIds()
        self._claimed = ClaimedIds(storage)
        self._is_shared = storage.database.is_shared
        self._get_team = get_team

    def add(self, entry: str) -> bool:
        """Claim an id of the workspace. Return whether no bot has claimed it before."""
        return self._recent.add(entry) and (
            not self._is_shared or self._claimed.claim(self._build_key(entry))
        )

    def remove(self, entry: str) -> None:
        """Allow an id to be claimed again."""
        self._recent.remove(entry)
        if self._is_shared:
            self._claimed.remove(self._build_key(entry))

    def __contains__(self, entry: str) -> bool:
        """Return whether the id was claimed."""
        return entry in self._recent or (self._is_shared and self._claimed.contains(self._build_key(entry)))

    def _build_key(self, entry: str) -> str:
        return f"{self._get_team()}:{entry}"
