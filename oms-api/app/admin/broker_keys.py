"""The command that encrypts the credentials of brokers again after a change of BROKER_KEYS."""

from argparse import Namespace

from app.admin.commands import CommandContext, CommandResult
from app.assembly.security import create_broker_key_ring
from app.audit.service import record_entries
from app.brokers.service.credentials import rotate_credentials
from app.config import load_settings
from app.database import ALL_TENANTS, unit_of_work


class UnreadableCredentials(Exception):
    """No key of BROKER_KEYS decrypts the credentials of some connections."""


async def encrypt_broker_credentials(command_context: CommandContext, _: Namespace) -> CommandResult:
    """Encrypt with the first key of BROKER_KEYS the credentials, of all tenants, that have another key.

    The audit log of the first tenant records how many. Raises UnreadableCredentials if some cannot be
    decrypted, after the others are encrypted and recorded.
    """
    with unit_of_work(command_context.engine, ALL_TENANTS) as connection:
        result = rotate_credentials(connection, create_broker_key_ring(load_settings()))
        if result.updated:
            counts = {"broker_connections": result.updated}
            entry = command_context.build_request().build_audit_entry(
                command_context.now(), "installation.rotated", "BROKER_KEYS", after=counts
            )
            record_entries(connection, [entry])
    message = f"The credentials of {result.updated} broker connections are encrypted with the first key."
    if result.unreadable:
        names = ", ".join(result.unreadable)
        raise UnreadableCredentials(f"{message} These could not be decrypted: {names}. Keep the other keys.")
    return CommandResult(f"{message} The other keys can be removed.")
