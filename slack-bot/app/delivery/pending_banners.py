"""Store the banners that are not posted yet, so that a crash loses none that the database stored."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from app.blocks.messages import Message
from app.storage.database import Row, execute_or_log
from app.storage.storage import Storage


class BannerState(StrEnum):
    """The progress of a banner, as stored."""

    INTENDED = "intended"  # the change was sent to the OMS, which has not responded yet
    QUEUED = "queued"
    POSTING = "posting"  # it was sent to Slack; no response yet


@dataclass(frozen=True)
class PendingBanner:
    """A message about stopped or resumed trading. An empty `user` is a change that nobody in Slack made.

    `is_end`: trading is resumed. `is_repeat`: an earlier attempt was interrupted, Slack may have the message.
    `is_intended`: it is unknown whether the OMS made the change.
    """

    key: str
    portfolio: str
    is_end: bool
    channel: str
    user: str
    request_id: str
    message: Message
    created_at: float  # Unix seconds
    is_repeat: bool = False
    is_intended: bool = False


class PendingBannerStore:
    """Store pending banners. `get_team` returns the workspace. Banners of other workspaces are not found."""

    def __init__(self, storage: Storage, get_team: Callable[[], str]):
        self._database = storage.database
        self._bot = storage.bots.id
        self._is_dead = storage.bots.is_dead("owner")
        self._get_team = get_team

    def add(self, pending: PendingBanner) -> None:
        """Store a banner before it is queued, or before the change is sent.

        A repeated request takes over the row that an earlier one left.
        """
        blocks = json.dumps([pending.message.text, *pending.message.blocks], separators=(",", ":"))
        self._run_statement(
            _ADD,
            pending.key,
            self._get_team(),
            pending.portfolio,
            int(pending.is_end),
            pending.channel,
            pending.user,
            pending.request_id,
            blocks,
            pending.created_at,
            (BannerState.INTENDED if pending.is_intended else BannerState.QUEUED).value,
            self._bot,
        )

    def set_state(self, key: str, state: BannerState) -> bool:
        """Record the progress. Return False if another bot has adopted the banner."""
        rows = self._run_statement(_SET_STATE, state.value, key, self._bot)
        return rows is None or bool(rows)

    def release(self, key: str, state: BannerState = BannerState.QUEUED) -> None:
        """Leave a banner to the next recovery of any bot."""
        self._run_statement("UPDATE owed_banners SET owner = '', state = ? WHERE key = ?", state.value, key)

    def remove(self, key: str) -> None:
        """Remove a banner that was posted or given up."""
        self._run_statement("DELETE FROM owed_banners WHERE key = ?", key)

    def remove_earlier(self, pending: PendingBanner) -> None:
        """Remove the banners of stops that this resumption has ended."""
        self._run_statement(_REMOVE_EARLIER, self._get_team(), pending.portfolio, pending.created_at)

    def adopt(self) -> list[PendingBanner]:
        """Take over the banners of crashed bots. Return them, oldest first."""
        where = f"team = ? AND state = ? AND {self._is_dead}"
        pending_banners = [
            replace(
                _load_banner(row),
                is_repeat=state is BannerState.POSTING,
                is_intended=state is BannerState.INTENDED,
            )
            for state in BannerState
            for row in self._run_statement(
                f"{_ADOPT} {where} {_RETURNING}",
                self._bot,
                _STATES_AFTER_ADOPTION[state],
                self._get_team(),
                state.value,
            )
            or []
        ]
        return sorted(pending_banners, key=lambda pending_banner: pending_banner.created_at)

    def _run_statement(self, statement: str, *values: object) -> list[Row] | None:
        return execute_or_log(self._database, statement, *values)


def _load_banner(row: Row) -> PendingBanner:
    key, portfolio, is_end, channel, user, request_id, content, created_at = row
    text, *blocks = json.loads(content)
    return PendingBanner(
        key=key,
        portfolio=portfolio,
        is_end=bool(is_end),
        channel=channel,
        user=user,
        request_id=request_id,
        message=Message(text, tuple(blocks)),
        created_at=created_at,
    )


_ADD = """INSERT INTO owed_banners
        (key, team, portfolio, is_end, channel, member, request_id, content, created_at, state, owner)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (key) DO UPDATE SET state = excluded.state, owner = excluded.owner
    WHERE owed_banners.owner = ''"""
_SET_STATE = "UPDATE owed_banners SET state = ? WHERE key = ? AND owner = ? RETURNING key"
_REMOVE_EARLIER = (
    "DELETE FROM owed_banners WHERE team = ? AND portfolio = ? AND is_end = 0 AND created_at < ?"
)
_ADOPT = "UPDATE owed_banners SET owner = ?, state = ? WHERE"
_STATES_AFTER_ADOPTION = dict.fromkeys(BannerState, BannerState.QUEUED.value) | {
    BannerState.INTENDED: BannerState.INTENDED.value
}
_RETURNING = "RETURNING key, portfolio, is_end, channel, member, request_id, content, created_at"
