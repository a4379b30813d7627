"""Command line arguments. Passwords and keys are never arguments, because other programs can read them."""

import argparse
from datetime import timedelta

from app.identity.rules.access import Role, Scope

_DESCRIPTION = """
Manage tenants, users and keys from the shell, as the operator of this installation.

A new secret is printed once to standard output, and so are lists. Messages go to standard error. Passwords
are entered at the terminal, or read from standard input. Changes are recorded in the audit log with the
actor shell:<account>.

Exit status: 0 done, 1 refused, 2 the command cannot run: wrong arguments or configuration, or a database
or file that cannot be used.
"""
_SCOPES = " ".join(scope for scope in Scope if scope is not Scope.TENANTS)
_TENANT = "the tenant's slug (default: the first tenant)"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser, which sets `command` to the name of the command."""
    parser = argparse.ArgumentParser(
        "python -m app.admin",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_tenant_commands(commands)
    _add_user_commands(commands)
    _add_key_commands(commands)
    _add_installation_commands(commands)
    return parser


def _add_tenant_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    create = commands.add_parser("create-tenant", help="create a tenant and print its first admin key")
    create.add_argument("slug")
    create.add_argument("name")
    suspend = commands.add_parser("suspend", help="suspend a tenant; its data is kept")
    suspend.add_argument("slug")
    resume = commands.add_parser("resume", help="reactivate a suspended tenant")
    resume.add_argument("slug")
    list_command = commands.add_parser("list", help="list the tenants, or the users or keys of one tenant")
    list_command.add_argument("resource", choices=("tenants", "users", "keys"))
    _add_tenant_option(list_command)


def _add_user_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    create = commands.add_parser("create-user", help="create a user; asks for the password")
    create.add_argument("name")
    create.add_argument("role", choices=[role.value for role in Role])
    create.add_argument("--email")
    create.add_argument(
        "--person", help="slack:<team>:<user>; without --email, the user has no password and cannot log in"
    )
    _add_portfolio_option(create)
    _add_tenant_option(create)
    for command in ("reset-password", "reset"):
        reset = commands.add_parser(command, help="set a user's password and end all sessions of the user")
        _add_user_argument(reset)
    _add_user_argument(commands.add_parser("disable-user", help="disable a user"))
    _add_user_argument(commands.add_parser("enable-user", help="enable a user"))
    _add_user_argument(commands.add_parser("erase-person", help="replace a person's name by a pseudonym"))


def _add_key_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    create = commands.add_parser("create-key", help="create a key and print it")
    create.add_argument("name")
    create.add_argument("scopes", nargs="+", help=f"of: {_SCOPES}")
    create.add_argument("--expires-in-days", type=_parse_days, metavar="DAYS")
    _add_portfolio_option(create)
    _add_tenant_option(create)
    revoke = commands.add_parser("revoke-key", help="revoke a key, effective within one second")
    revoke.add_argument("name", help="the key's name or ID")
    _add_tenant_option(revoke)
    rotate = commands.add_parser("rotate-key", help="replace a key by a new one and print it")
    rotate.add_argument("name", help="the key's name or ID")
    rotate.add_argument(
        "--overlap-seconds", type=_parse_seconds, default=3600, help="how long the old key stays valid"
    )
    _add_tenant_option(rotate)


def _add_installation_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    rotate = commands.add_parser("rotate-master-key", help="replace OMS_API_KEY, keeping the old one valid")
    rotate.add_argument(
        "--env-file", metavar="FILE", help="the file to write it to; if omitted, the key is printed"
    )
    help_text = "encrypt the credentials of brokers with the first key of BROKER_KEYS"
    commands.add_parser("encrypt-broker-credentials", help=help_text)


def _add_user_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("user", help="the e-mail address, or slack:<team>:<user>")
    _add_tenant_option(parser)


def _add_tenant_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tenant", metavar="SLUG", help=_TENANT)


def _add_portfolio_option(parser: argparse.ArgumentParser) -> None:
    help_text = "restrict to this portfolio; may be repeated"
    parser.add_argument("--portfolio", dest="portfolios", action="append", metavar="NAME", help=help_text)


def _parse_days(text: str) -> timedelta:
    return timedelta(days=_parse_whole_number(text, 1, 3650))


def _parse_seconds(text: str) -> int:
    return _parse_whole_number(text, 0, 7 * 24 * 3600)


def _parse_whole_number(text: str, minimum: int, maximum: int) -> int:
    number = int(text[:9]) if text.isascii() and text.isdigit() else -1
    if not minimum <= number <= maximum:
        raise argparse.ArgumentTypeError(f"must be a whole number from {minimum} to {maximum}")
    return number
