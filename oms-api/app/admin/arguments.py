"""Command line arguments. Passwords and keys are never arguments, because other programs can read those."""

import argparse
from datetime import timedelta

from app.identity.rules.access import Role, Scope

_DESCRIPTION = """
Manage tenants, users and keys from the shell, as the operator of this installation.

A secret is printed once to standard output; all else goes to standard error. Passwords are prompted for,
or read from standard input. Changes are recorded in the audit log as made by
shell:<account>, except the encryption of broker credentials.

Exit status: 0 done, 1 refused, 2 wrong arguments or configuration, no usable database, or a file that cannot
be written.
"""
_SCOPES = " ".join(scope for scope in Scope if scope is not Scope.TENANTS)
_TENANT = "the tenant's slug (default: the first tenant)"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser, which sets `command` to the name of the command."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m app.admin", description=_DESCRIPTION, formatter_class=form)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    groups = (_add_tenant_commands, _add_user_commands, _add_erase_command)
    for add in (*groups, _add_key_commands, _add_master_key_command):
        add(commands)
    return parser


def _add_tenant_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    create = commands.add_parser("create-tenant", help="create a tenant and print its first admin key")
    create.add_argument("slug")
    create.add_argument("name")
    suspend = commands.add_parser("suspend", help="suspend a tenant; its data is kept")
    suspend.add_argument("slug")
    resume = commands.add_parser("resume", help="reactivate a suspended tenant")
    resume.add_argument("slug")
    list_ = commands.add_parser("list", help="list tenants, or the users or keys of one")
    list_.add_argument("what", choices=("tenants", "users", "keys"))
    _add_tenant_option(list_)


def _add_user_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    create = commands.add_parser("create-user", help="create a user; asks for the password")
    create.add_argument("name")
    create.add_argument("role", choices=[role.value for role in Role])
    create.add_argument("--email")
    create.add_argument(
        "--person", help="slack:<team>:<user>; without --email nobody is asked for a password"
    )
    _add_portfolio_option(create)
    _add_tenant_option(create)
    for command in ("reset-password", "reset"):
        reset = commands.add_parser(command, help="set a user's password and end all sessions of the user")
        reset.add_argument("email")
        _add_tenant_option(reset)
    for command in ("disable-user", "enable-user"):
        switch = commands.add_parser(command, help="disable or enable a user")
        switch.add_argument("email", help="the e-mail address, or slack:<team>:<user>")
        _add_tenant_option(switch)


def _add_erase_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    erase = commands.add_parser("erase-person", help="replace all that names a person by a pseudonym")
    erase.add_argument("email", help="the e-mail address, or slack:<team>:<user>")
    _add_tenant_option(erase)


def _add_key_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    create = commands.add_parser("create-key", help="create a key and print it")
    create.add_argument("name")
    create.add_argument("scopes", nargs="+", help=f"of: {_SCOPES}")
    create.add_argument("--expires-in-days", type=_parse_days, metavar="DAYS")
    _add_portfolio_option(create)
    _add_tenant_option(create)
    revoke = commands.add_parser("revoke-key", help="revoke a key, effective within one second")
    revoke.add_argument("name", help="its name, or its id")
    _add_tenant_option(revoke)
    rotate = commands.add_parser("rotate-key", help="replace a key by a new one and print it")
    rotate.add_argument("name", help="its name, or its id")
    rotate.add_argument(
        "--overlap-seconds", type=_parse_seconds, default=3600, help="how long the old key stays valid"
    )
    _add_tenant_option(rotate)


def _add_master_key_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    rotate = commands.add_parser("rotate-master-key", help="replace OMS_API_KEY, keeping the old one valid")
    rotate.add_argument("--env-file", metavar="FILE", help="write it there; without, it is printed")
    help_text = "encrypt the credentials of brokers with the first key of BROKER_KEYS"
    commands.add_parser("encrypt-broker-credentials", help=help_text)


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
        raise argparse.ArgumentTypeError(f"a whole number, {minimum} to {maximum}")
    return number
