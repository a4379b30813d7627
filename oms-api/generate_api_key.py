"""Create and list API keys of the OMS.

    python generate_api_key.py                                   print a new key, to set as OMS_API_KEY
    python generate_api_key.py --store desk-bot --scopes trade   create a key, which is shown once
    python generate_api_key.py --list                            list the created keys and their times
    python generate_api_key.py --revoke desk-bot                 revoke a key, effective within one second

Only the key goes to standard output. Exit status: 0 done, 1 refused, 2 wrong arguments or no database.
"""

import argparse
import secrets
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from app.admin.account import get_account_name
from app.audit.rules.entries import AuditValues, InvalidAuditValues
from app.audit.service import AuditEntry, record_entries
from app.clock import utc_now
from app.config import ConfigurationError, load_settings
from app.database import connect_engine, set_tenant_scope, snapshot, unit_of_work
from app.database.failures import format_reason
from app.errors import Invalid, OmsError
from app.identity.queries.keys import list_keys
from app.identity.rules.access import FIRST_TENANT, Scope, expand_scopes
from app.identity.rules.keys import NAME_LENGTH, ListedKey, generate_key, get_key_state
from app.identity.schemas.fields import RESERVED
from app.identity.service.keys import get_key_id, revoke_key, store_new_key
from app.migrate import is_current
from app.timestamps import format_timestamp

DONE, REFUSED, CANNOT = 0, 1, 2
MOST_DAYS = 3650


class NotMigrated(Exception):
    """The database schema is not of this version."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Execute the command of the arguments."""
    args = _build_parser().parse_args(arguments)
    if not (args.store or args.list or args.revoke):
        print(generate_key(secrets.choice))
        return DONE
    try:
        engine = connect_engine(load_settings().database_url, readers=1)
        with engine.connect() as connection:
            _require_tables(connection)
        _run_command(engine, args, utc_now())
    except (ConfigurationError, NotMigrated) as error:
        return _print_and_exit(str(error), CANNOT)
    except OmsError as error:
        return _print_and_exit(error.detail, REFUSED)
    except SQLAlchemyError as error:
        return _print_and_exit(f"The database cannot be used: {format_reason(error)}", CANNOT)
    engine.dispose()
    return DONE


def _run_command(engine: Engine, namespace: argparse.Namespace, now: datetime) -> None:
    if namespace.list:
        with snapshot(engine) as connection:
            sys.stdout.writelines(_format_keys(list_keys(connection, FIRST_TENANT), now))
        return
    with unit_of_work(engine) as connection:
        key = "" if namespace.revoke else _create_key(connection, namespace, now)
        if namespace.revoke:
            revoke_key(connection, namespace.revoke, now)
            _record_audit_entry(connection, "key.revoked", namespace.revoke, {"name": namespace.revoke}, now)
    if key:
        print(key)
        _print_and_exit(f"This key is shown once. It is stored, hashed, as {namespace.store!r}.", DONE)
    else:
        _print_and_exit(f"{namespace.revoke!r} is revoked, effective within one second.", DONE)


def _create_key(connection: Connection, namespace: argparse.Namespace, now: datetime) -> str:
    expires_at = now + timedelta(days=namespace.expires_in_days) if namespace.expires_in_days else None
    scopes = " ".join(namespace.scopes)
    key = store_new_key(
        connection, namespace.store, scopes, now, expires_at=expires_at, created_by=_get_actor()
    )
    until = format_timestamp(expires_at) if expires_at else None
    fields = {
        "key_id": get_key_id(key),
        "name": namespace.store,
        "scopes": namespace.scopes,
        "expires_at": until,
    }
    _record_audit_entry(connection, "key.created", namespace.store, fields, now)
    return key


def _record_audit_entry(
    connection: Connection, action: str, name: str, values: AuditValues, now: datetime
) -> None:
    try:
        entry = AuditEntry(FIRST_TENANT, now, _get_actor(), "shell", action, f"key:{name}", after=values)
    except InvalidAuditValues:
        raise Invalid("The name reads like a secret; the audit trail would hold it for good.") from None
    record_entries(set_tenant_scope(connection, [FIRST_TENANT]), [entry])


def _get_actor() -> str:
    return f"shell:{get_account_name()}"


def _format_keys(keys: list[ListedKey], now: datetime) -> list[str]:
    if not keys:
        return ["No keys were minted; OMS_API_KEY alone opens this OMS.\n"]
    head = f"{'NAME':<30} {'SCOPES':<18} {'STATE':<8} {'CREATED':<21} {'EXPIRES':<21} LAST USED\n"
    return [head, *(_format_key(key, now) for key in keys)]


def _format_key(key: ListedKey, now: datetime) -> str:
    instants = (key.created_at, key.expires_at, key.last_used_at)
    created, expires, last_used = map(_format_time, instants)
    state = get_key_state(key.expires_at, key.revoked_at, now)
    return f"{key.name:<30} {key.scopes:<18} {state:<8} {created:<21} {expires:<21} {last_used}\n"


def _format_time(instant: datetime | None) -> str:
    return "never" if instant is None else f"{format_timestamp(instant)[:19]}Z"


def _require_tables(connection: Connection) -> None:
    if not is_current(connection):
        raise NotMigrated(
            "The database is not at this version's revision: run `python -m app.migrate` first."
        )


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    task = parser.add_mutually_exclusive_group()
    task.add_argument(
        "--store", metavar="NAME", type=_parse_new_name, help="mint a key of that name into the database"
    )
    task.add_argument("--list", action="store_true", help="list the minted keys, live and revoked")
    task.add_argument("--revoke", metavar="NAME", type=_parse_name, help="end the key of that name")
    parser.add_argument(
        "--scopes", metavar="WORDS", type=_parse_scopes, default="trade", help=_describe_scopes()
    )
    days = "end the key by itself after so many days (default: never)"
    parser.add_argument("--expires-in-days", metavar="DAYS", type=_parse_days, help=days)
    return parser


def _parse_days(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:6]) <= MOST_DAYS:
        raise argparse.ArgumentTypeError(f"a whole number of days, 1 to {MOST_DAYS}")
    return int(text)


def _parse_name(text: str) -> str:
    name = text.strip()
    if not (0 < len(name) <= NAME_LENGTH and name.isascii() and name.isprintable()):
        raise argparse.ArgumentTypeError(f"a name has 1 to {NAME_LENGTH} printable ASCII characters")
    return name


def _parse_new_name(text: str) -> str:
    name = _parse_name(text)
    if name.lower() in RESERVED or "~" in name:
        raise argparse.ArgumentTypeError("this name is reserved")
    return name


def _parse_scopes(text: str) -> list[str]:
    scope_names = text.replace(",", " ").split()
    try:
        granted = expand_scopes(scope_names)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}; {_describe_scopes()}") from None
    if Scope.TENANTS in granted:
        raise argparse.ArgumentTypeError(f"'tenants' is OMS_API_KEY's alone; {_describe_scopes()}")
    return sorted(granted)


def _describe_scopes() -> str:
    scope_names = " ".join(scope for scope in Scope if scope is not Scope.TENANTS)
    return f"one or more of: {scope_names} (trade includes read, admin everything; default trade)"


def _print_and_exit(sentence: str, status: int) -> int:
    sys.stderr.write(f"{sentence}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
