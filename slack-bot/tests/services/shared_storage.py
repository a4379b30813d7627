"""The storage that several bots share, and its leases."""

from app.delivery.confirmation_store import ConfirmationClaim
from app.storage.bot_registry import BotRegistry
from app.storage.sqlite import SqliteDatabase
from app.storage.storage import Storage


def create_storages(database: SqliteDatabase) -> tuple[Storage, Storage]:
    """Return the storages of two bots."""
    database.is_shared = True
    return Storage(database, BotRegistry(database)), Storage(database, BotRegistry(database))


def expire_lease(storage: Storage) -> None:
    """Let the lease of a bot expire."""
    storage.database.execute("UPDATE bots SET seen_at = seen_at - 60 WHERE id = ?", storage.bots.id)


def require_claim(claim: ConfirmationClaim | None) -> ConfirmationClaim:
    assert claim is not None
    return claim
