"""The command that encrypts the credentials of brokers again, after BROKER_KEYS has changed."""

from argparse import Namespace

from app.admin.commands import CommandContext, CommandResult
from app.assembly.security import create_broker_key_ring
from app.brokers.service.credentials import rotate_credentials
from app.config import load_settings
from app.database import ALL_TENANTS, unit_of_work


class UnreadableCredentials(Exception):
    """No key of BROKER_KEYS decrypts the credentials of some connections."""


async def encrypt_broker_credentials(command_context: CommandContext, _: Namespace) -> CommandResult:
    """Encrypt again, for all tenants, the secrets that are not encrypted with the first key of BROKER_KEYS.

    Raises UnreadableCredentials after those that can be decrypted are encrypted again.
    """
    with unit_of_work(command_context.engine, ALL_TENANTS) as connection:
        result = rotate_credentials(connection, create_broker_key_ring(load_settings()))
    message = f"The credentials of {result.updated} broker connections are encrypted with the first key."
    if result.unreadable:
        names = ", ".join(result.unreadable)
        raise UnreadableCredentials(f"{message} These could not be decrypted: {names}. Keep the other keys.")
    return CommandResult(f"{message} The other keys can be removed.")
