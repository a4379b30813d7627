"""Run `python -m app.admin`. See `arguments` for its commands."""

import asyncio
import getpass
import sys
from argparse import Namespace
from collections.abc import Sequence

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from app.admin.account import get_account_name
from app.admin.arguments import build_parser
from app.admin.broker_keys import UnreadableCredentials, encrypt_broker_credentials
from app.admin.commands import COMMANDS, CommandContext, CommandResult
from app.admin.erasure import erase_person
from app.admin.master_key import NoMasterKey
from app.clock import utc_now
from app.config import ConfigurationError, load_settings
from app.database import connect_engine
from app.database.failures import format_reason
from app.database.transactions import Transactions
from app.errors import FieldError, OmsError, Unavailable
from app.identity.service.change_executor import ChangeExecutor
from app.identity.service.passwords import Passwords
from app.migrate import get_migration_url, is_current

DONE, REFUSED, CANNOT = 0, 1, 2


class NotMigrated(Exception):
    """Raised when the database schema is not of this version."""


class NoPassword(Exception):
    """Raised when no password is entered, or the two entries differ."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Execute the command that the arguments name, and return the exit status."""
    options = build_parser().parse_args(arguments)
    try:
        return _print_result(_run_command(options))
    except (ConfigurationError, NotMigrated, NoMasterKey, Unavailable) as error:
        return _print_and_exit(str(error), CANNOT)
    except OSError as error:
        return _print_and_exit(f"{error.filename} cannot be written: {error.strerror}.", CANNOT)
    except SQLAlchemyError as error:
        return _print_and_exit(f"The database cannot be used: {format_reason(error)}", CANNOT)
    except OmsError as error:
        return _print_and_exit("\n  ".join([error.detail, *map(_format_field_error, error.errors)]), REFUSED)
    except (NoPassword, UnreadableCredentials) as error:
        return _print_and_exit(str(error), REFUSED)


def _run_command(options: Namespace) -> CommandResult:
    settings = load_settings()
    engine = connect_engine(get_migration_url(settings), readers=1)
    try:
        _require_tables(engine)
        transactions, passwords = Transactions(engine), Passwords()
        change_executor = ChangeExecutor(transactions, passwords, [settings.oms_api_key], utc_now)
        try:
            command_context = CommandContext(
                engine, change_executor, utc_now, get_account_name(), read_password
            )
            commands = COMMANDS | {
                "encrypt-broker-credentials": encrypt_broker_credentials,
                "erase-person": erase_person,
            }
            return asyncio.run(commands[options.command](command_context, options))
        finally:
            passwords.close()
            transactions.close()
    finally:
        engine.dispose()


def read_password() -> str:
    """Return a new password: entered twice at a terminal, or the first line of standard input."""
    if not sys.stdin.isatty():
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = getpass.getpass("New password: ")
        if getpass.getpass("New password again: ") != password:
            raise NoPassword("The two entries differ. Nothing was changed.")
    if not password:
        raise NoPassword("No password was entered. Nothing was changed.")
    return password


def _require_tables(engine: Engine) -> None:
    with engine.connect() as connection:
        if not is_current(connection):
            raise NotMigrated(
                "The database is not at this version's revision: run `python -m app.migrate` first."
            )


def _format_field_error(error: FieldError) -> str:
    return f"{error.field}: {error.message}"


def _print_result(result: CommandResult) -> int:
    sys.stdout.writelines(f"{line}\n" for line in result.lines)
    if result.secret:
        sys.stdout.write(f"{result.secret}\n")
    return _print_and_exit(result.sentence, DONE) if result.sentence else DONE


def _print_and_exit(sentence: str, status: int) -> int:
    sys.stderr.write(f"{sentence}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
