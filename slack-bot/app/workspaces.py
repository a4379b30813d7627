"""Connect workspaces to tenants of the OMS: `python -m app.workspaces bind | list | forget`."""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from app.config import ConfigError, is_oms_key, load
from app.oms_client.person import ID
from app.server.build import load_keys
from app.storage.connection import open_database
from app.storage.database import DatabaseError
from app.storage.encryption import DecryptionFailed
from app.storage.installations import InstallationStore, InstalledWorkspace


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command of the operator. Return the exit status."""
    args = _create_parser().parse_args(arguments)
    try:
        settings = load()
        keys = load_keys(settings)
        database = open_database(settings.bot_database_url, is_locked=False)
    except (ConfigError, DatabaseError) as error:
        return _report_failure(str(error))
    try:
        return _run_command(args, InstallationStore(database, keys))
    except (DatabaseError, DecryptionFailed) as error:
        return _report_failure(str(error))
    finally:
        database.close()


def _create_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m app.workspaces", description="Workspaces of the bot.")
    commands = parser.add_subparsers(dest="command", required=True)
    connect = commands.add_parser("bind", help="connect a workspace to the tenant of an OMS key")
    connect.add_argument("team", type=_parse_team, help="id of the workspace, such as T0123456789")
    connect.add_argument(
        "--oms-key-stdin", action="store_true", required=True, help="read the OMS key from standard input"
    )
    commands.add_parser("list", help="list the workspaces")
    removal = commands.add_parser("forget", help="remove a workspace with its token and its OMS key")
    removal.add_argument("team", type=_parse_team, help="id of the workspace")
    return parser


def _run_command(namespace: argparse.Namespace, store: InstallationStore) -> int:
    if namespace.command == "list":
        _write_lines(
            [_format_workspace(installed_workspace) for installed_workspace in store.list_all()]
            or ["No workspace has installed the app."]
        )
        return 0
    if namespace.command == "forget":
        if not store.delete(namespace.team):
            return _report_failure(f"The workspace {namespace.team} is not known.")
        _write_lines(
            [f"Removed {namespace.team}. Uninstall the app in Slack, too: its token may still be valid."]
        )
        return 0
    key = sys.stdin.readline().strip()
    if not is_oms_key(key):
        return _report_failure("Write the OMS key (32 printable characters or more) to standard input.")
    if not store.save_oms_key(namespace.team, key):
        return _report_failure(
            f"The app is not installed in {namespace.team}. Open /slack/install of the bot first."
        )
    _write_lines([f"Connected {namespace.team}."])
    return 0


def _format_workspace(installed: InstalledWorkspace) -> str:
    """Return a line without secrets."""
    since = datetime.fromtimestamp(installed.installed_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    link = "connected" if installed.oms_key else "not connected"
    name = "".join(character for character in installed.name if character.isprintable())
    return "\t".join((installed.team, installed.status.value, link, since, name))


def _parse_team(text: str) -> str:
    if not (ID.fullmatch(text) and text.startswith("T")):
        raise argparse.ArgumentTypeError("must be the id of a workspace, such as T0123456789")
    return text


def _write_lines(lines: Sequence[str]) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def _report_failure(sentence: str) -> int:
    sys.stderr.write(f"{sentence}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
