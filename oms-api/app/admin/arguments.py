"""Command line arguments. Passwords and keys are not among them, since other programs can read arguments."""

import argparse
from datetime import timedelta

from app.identity.rules.access import Role, Scope

_DESCRIPTION = """
Manage tenants, users and keys from the shell, as the operator of this installation.

A secret is printed once to standard output; all else goes to standard error. Passwords are prompted for,
or read from standard input. Every change is recorded in the audit trail as made by shell:<account>.

Exit status: 0 done, 1 refused, 2 wrong arguments or no database.
"""
_SCOPES = " ".join(scope for scope in Scope if scope is not Scope.TENANTS)
_TENANT = "the tenant's slug (default: the first tenant)"


def make_parser() -> argparse.ArgumentParser:
    """Return the parser, which sets `command` to the name of the command."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m app.admin", description=_DESCRIPTION, formatter_class=form)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (_tenants, _users, _keys, _master_key):
        add(commands)
    return parser


def _tenants(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    made = commands.add_parser("create-tenant", help="create a tenant and print its first admin key")
    made.add_argument("slug")
    made.add_argument("name")
    shut = commands.add_parser("suspend", help="suspend a tenant; its data is kept")
    shut.add_argument("slug")
    opened = commands.add_parser("resume", help="reactivate a suspended tenant")
    opened.add_argument("slug")
    listed = commands.add_parser("list", help="list tenants, or the users or keys of one")
    listed.add_argument("what", choices=("tenants", "users", "keys"))
    _of_tenant(listed)


def _users(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    made = commands.add_parser("create-user", help="create a user; asks for the password")
    made.add_argument("name")
    made.add_argument("role", choices=[role.value for role in Role])
    made.add_argument("--email")
    made.add_argument("--person", help="slack:<team>:<user>; without --email nobody is asked for a password")
    _narrowed(made)
    _of_tenant(made)
    for command in ("reset-password", "reset"):
        reset = commands.add_parser(command, help="set a user's password and end all sessions of the user")
        reset.add_argument("email")
        _of_tenant(reset)
    for command in ("disable-user", "enable-user"):
        switched = commands.add_parser(command, help="disable or enable a user")
        switched.add_argument("email", help="the e-mail address, or slack:<team>:<user>")
        _of_tenant(switched)


def _keys(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    made = commands.add_parser("create-key", help="create a key and print it")
    made.add_argument("name")
    made.add_argument("scopes", nargs="+", help=f"of: {_SCOPES}")
    made.add_argument("--expires-in-days", type=_days, metavar="DAYS")
    _narrowed(made)
    _of_tenant(made)
    revoked = commands.add_parser("revoke-key", help="revoke a key, effective within one second")
    revoked.add_argument("name", help="its name, or its id")
    _of_tenant(revoked)
    rotated = commands.add_parser("rotate-key", help="replace a key by a new one and print it")
    rotated.add_argument("name", help="its name, or its id")
    rotated.add_argument(
        "--overlap-seconds", type=_seconds, default=3600, help="how long the old key stays valid"
    )
    _of_tenant(rotated)


def _master_key(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    rotated = commands.add_parser("rotate-master-key", help="replace OMS_API_KEY, keeping the old one valid")
    rotated.add_argument("--env-file", metavar="FILE", help="write it there; without, it is printed")


def _of_tenant(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tenant", metavar="SLUG", help=_TENANT)


def _narrowed(parser: argparse.ArgumentParser) -> None:
    narrowed = "restrict to this portfolio; may be repeated"
    parser.add_argument("--portfolio", dest="portfolios", action="append", metavar="NAME", help=narrowed)


def _days(text: str) -> timedelta:
    return timedelta(days=_whole(text, 1, 3650))


def _seconds(text: str) -> int:
    return _whole(text, 0, 7 * 24 * 3600)


def _whole(text: str, least: int, most: int) -> int:
    number = int(text[:9]) if text.isascii() and text.isdigit() else -1
    if not least <= number <= most:
        raise argparse.ArgumentTypeError(f"a whole number, {least} to {most}")
    return number
