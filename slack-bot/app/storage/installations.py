"""The workspaces where the app is installed. Their bot tokens and OMS keys are encrypted."""

from dataclasses import dataclass, field
from enum import StrEnum

from app.storage.database import Database, Row
from app.storage.encryption import DecryptionFailed, KeyRing


class InstallationStatus(StrEnum):
    """Whether the app is installed, as stored."""

    ACTIVE = "active"
    UNINSTALLED = "uninstalled"


@dataclass(frozen=True)
class InstalledWorkspace:
    """A workspace. `installed_at` is in Unix seconds. `oms_key` is empty until an operator connects it.

    `version` changes with every change of the row.
    """

    team: str
    enterprise: str = ""
    name: str = ""
    bot_token: str = field(default="", repr=False)
    oms_key: str = field(default="", repr=False)
    scopes: str = ""
    installed_at: float = 0.0
    status: InstallationStatus = InstallationStatus.ACTIVE
    version: int = 1

    @property
    def is_active(self) -> bool:
        """Whether the bot may call Slack for this workspace."""
        return self.status is InstallationStatus.ACTIVE and bool(self.bot_token)


class InstallationStore:
    """Store the workspaces. Every method raises `DatabaseError`; readers raise `DecryptionFailed` too."""

    def __init__(self, database: Database, keys: KeyRing):
        self._database = database
        self._keys = keys

    def save(self, installed: InstalledWorkspace) -> None:
        """Store a new installation. Without an OMS key in it, the workspace keeps its current key."""
        self._database.execute(
            _SAVE,
            installed.team,
            installed.enterprise,
            installed.name,
            self._keys.encrypt(installed.bot_token, _build_token_context(installed.team)),
            self._keys.encrypt(installed.oms_key, _build_key_context(installed.team)),
            installed.scopes,
            installed.installed_at,
        )

    def save_environment(self, installed: InstalledWorkspace) -> None:
        """Store the workspace whose token is in the environment, unless its token and key are stored already.

        A workspace whose stored secrets cannot be decrypted is stored again.
        """
        try:
            installed_workspace = self.find(installed.team)
        except DecryptionFailed:
            installed_workspace = None
        if installed_workspace is None or (installed_workspace.bot_token, installed_workspace.oms_key) != (
            installed.bot_token,
            installed.oms_key,
        ):
            self.save(installed)

    def save_oms_key(self, team: str, oms_key: str) -> bool:
        """Connect a workspace to the tenant of an OMS key. Return False if the app is not installed."""
        statement = """UPDATE installations SET oms_key = ?, version = version + 1
            WHERE team = ? AND status = 'active' RETURNING team"""
        return bool(
            self._database.execute(statement, self._keys.encrypt(oms_key, _build_key_context(team)), team)
        )

    def uninstall(self, team: str, at: float) -> bool:
        """Remove the token and the key of a workspace that removed the app at `at` (Unix seconds).

        Return False if the app was installed after that: the event is older than the installation.
        """
        statement = """UPDATE installations SET status = 'uninstalled', bot_token = '', oms_key = '',
            version = version + 1 WHERE team = ? AND status = 'active' AND installed_at <= ? RETURNING team"""
        return bool(self._database.execute(statement, team, at))

    def delete(self, team: str) -> bool:
        """Remove a workspace. Return whether there was one."""
        statement = "DELETE FROM installations WHERE team = ? RETURNING team"
        return bool(self._database.execute(statement, team))

    def find(self, team: str) -> InstalledWorkspace | None:
        """Return a workspace, None if it is not known."""
        rows = self._database.execute(f"{_SELECT} WHERE team = ?", team)
        return self._build_installation(rows[0]) if rows else None

    def find_version(self, team: str) -> tuple[int, float] | None:
        """Return the version and time of an installation, which change with it, or None."""
        statement = "SELECT version, installed_at FROM installations WHERE team = ?"
        rows = self._database.execute(statement, team)
        return (rows[0][0], rows[0][1]) if rows else None

    def list_active_teams(self) -> list[str]:
        """Return the ids of the workspaces where the app is installed."""
        rows = self._database.execute("SELECT team FROM installations WHERE status = 'active' ORDER BY team")
        return [team for (team,) in rows]

    def list_all(self) -> list[InstalledWorkspace]:
        """Return all workspaces, in the order of their last installation."""
        return [
            self._build_installation(row)
            for row in self._database.execute(f"{_SELECT} ORDER BY installed_at, team")
        ]

    def encrypt_again(self) -> int:
        """Encrypt secrets of earlier keys with the current key. Return the number of workspaces."""
        count = 0
        for team, token, key in self._database.execute("SELECT team, bot_token, oms_key FROM installations"):
            if self._keys.is_current(token) and self._keys.is_current(key):
                continue
            encrypted = (
                self._keys.encrypt(
                    self._keys.decrypt(token, _build_token_context(team)), _build_token_context(team)
                ),
                self._keys.encrypt(
                    self._keys.decrypt(key, _build_key_context(team)), _build_key_context(team)
                ),
            )
            # Only if no other bot has changed the row since it was read.
            statement = """UPDATE installations SET bot_token = ?, oms_key = ?
                WHERE team = ? AND bot_token = ? AND oms_key = ? RETURNING team"""
            count += len(self._database.execute(statement, *encrypted, team, token, key))
        return count

    def _build_installation(self, row: Row) -> InstalledWorkspace:
        team, enterprise, name, token, key, scopes, installed_at, status, version = row
        return InstalledWorkspace(
            team=team,
            enterprise=enterprise,
            name=name,
            bot_token=self._keys.decrypt(token, _build_token_context(team)),
            oms_key=self._keys.decrypt(key, _build_key_context(team)),
            scopes=scopes,
            installed_at=installed_at,
            status=InstallationStatus(status),
            version=version,
        )


def _build_token_context(team: str) -> str:
    return f"installations:{team}:bot_token"


def _build_key_context(team: str) -> str:
    return f"installations:{team}:oms_key"


_SELECT = """SELECT team, enterprise, name, bot_token, oms_key, scopes, installed_at, status, version
    FROM installations"""
_SAVE = """INSERT INTO installations
        (team, enterprise, name, bot_token, oms_key, scopes, installed_at, status)
    VALUES (?, ?, ?, ?, ?, ?, ?, 'active')
    ON CONFLICT (team) DO UPDATE SET enterprise = excluded.enterprise, name = excluded.name,
        bot_token = excluded.bot_token, scopes = excluded.scopes, installed_at = excluded.installed_at,
        oms_key = CASE WHEN excluded.oms_key = '' THEN installations.oms_key ELSE excluded.oms_key END,
        status = 'active', version = installations.version + 1"""
