"""Create the settings files of a first start with new secrets, and keep existing files.

`python scripts/env_files.py` creates `oms-api/.env` and `slack-bot/.env`. `--compose` creates the `.env` of
`docker compose`, and adds secrets of newer versions to an existing one. `--production` also adds those of
`docker-compose.prod.yml`. Every file is readable by its owner
only. No value is ever overwritten.
"""

import base64
import os
import secrets
import sys
from pathlib import Path

from dotenv import dotenv_values

ROOT = Path(__file__).resolve().parent.parent
API_URL = "http://127.0.0.1:8001"
COMPOSE_TEMPLATE = """\
# What docker compose fills in. The secrets were made for this folder; the Slack values are yours to add.
POSTGRES_PASSWORD={password}
OMS_API_KEY={key}
OMS_BOT_KEY={bot_key}
BOT_STATEMENT_SECRET={statement_secret}
JWT_KEYS={jwt_keys}
SLACK_BOT_TOKEN={slack_bot_token}
SLACK_SIGNING_SECRET={slack_signing_secret}
"""
PRODUCTION_TEMPLATE = """\
# What docker-compose.prod.yml needs besides. CERTIFICATES is the folder of tls.pem and tls.key.
REDIS_PASSWORD={redis_password}
WEBHOOK_KEYS={webhook_keys}
BROKER_KEYS={broker_keys}
BACKUP_KEYS={backup_keys}
GRAFANA_PASSWORD={grafana_password}
FLOWER_PASSWORD={flower_password}
CERTIFICATES=
"""


def ensure_service_files(root: Path = ROOT) -> list[Path]:
    """Create the missing `.env` files of the services. Return the created ones.

    The bot gets the `OMS_BOT_KEY` of the OMS as its key, and the same statement secret. If an existing file
    of the OMS has none, they stay empty: `make run` makes them at each start.
    """
    path = root / "oms-api" / ".env"
    new = {"OMS_BOT_KEY": secrets.token_urlsafe(48), "BOT_STATEMENT_SECRET": secrets.token_urlsafe(48)}
    shared = {name: dotenv_values(path).get(name) or "" for name in new} if path.exists() else new
    values = {"OMS_API_URL": API_URL, "JWT_KEYS": _generate_jwt_keys()} | shared
    keys = {"oms-api": secrets.token_urlsafe(48), "slack-bot": shared["OMS_BOT_KEY"]}
    return [
        path
        for service, key in keys.items()
        if _write_new(
            path := root / service / ".env",
            fill_template(_read_template(root, service), values | {"OMS_API_KEY": key}),
        )
    ]


def ensure_compose_file(root: Path = ROOT) -> list[Path]:
    """Create the `.env` of docker compose, with the Slack values of `slack-bot/.env`.

    Add the secrets that an existing file lacks. Return the file if it was created or changed.
    """
    slack = dotenv_values(root / "slack-bot" / ".env")
    text = COMPOSE_TEMPLATE.format(
        password=secrets.token_urlsafe(32),
        key=secrets.token_urlsafe(48),
        bot_key=secrets.token_urlsafe(48),
        statement_secret=secrets.token_urlsafe(48),
        jwt_keys=_generate_jwt_keys(),
        slack_bot_token=slack.get("SLACK_BOT_TOKEN") or "",
        slack_signing_secret=slack.get("SLACK_SIGNING_SECRET") or "",
    )
    path = root / ".env"
    return [path] if _write_new(path, text) or _add_missing(path, text) else []


def ensure_production_file(root: Path = ROOT) -> list[Path]:
    """Create the `.env` of docker compose, or add missing values, for `docker-compose.prod.yml`."""
    written_paths = ensure_compose_file(root)
    names = ("redis_password", "grafana_password", "flower_password")
    rings = ("webhook_keys", "broker_keys", "backup_keys")
    values = {name: secrets.token_urlsafe(32) for name in names} | {name: _generate_key() for name in rings}
    path = root / ".env"
    return [path] if _add_missing(path, PRODUCTION_TEMPLATE.format(**values)) else written_paths


def fill_template(template: str, values: dict[str, str]) -> str:
    """Return the template with the values of `NAME=…` lines replaced. Other lines are kept."""

    def replace_line(line: str) -> str:
        name = line.partition("=")[0].strip()
        return f"{name}={values[name]}" if name in values and "=" in line else line

    return "\n".join(replace_line(line) for line in template.splitlines()) + "\n"


def _read_template(root: Path, service: str) -> str:
    return (root / service / ".env.template").read_text(encoding="utf-8")


def _generate_key() -> str:
    return f"k1:{base64.b64encode(secrets.token_bytes(32)).decode()}"


def _generate_jwt_keys() -> str:
    return f"first:{secrets.token_urlsafe(48)}"


def _add_missing(path: Path, text: str) -> bool:
    """Append the lines of `text` whose names the file does not have. Return whether there are any."""
    set_names = set(dotenv_values(path))
    missing = [line for line in text.splitlines() if "=" in line and line.partition("=")[0] not in set_names]
    if missing:
        with path.open("a", encoding="utf-8") as file:
            file.write("\n" + "\n".join(missing) + "\n")
    return bool(missing)


def _write_new(path: Path, text: str) -> bool:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    return True


def main() -> None:
    """Create the files and print their names."""
    if "--production" in sys.argv[1:]:
        written_paths = ensure_production_file()
    else:
        written_paths = ensure_compose_file() if "--compose" in sys.argv[1:] else ensure_service_files()
    for path in written_paths:
        print(f"Wrote {path.relative_to(ROOT)} with fresh secrets.")


if __name__ == "__main__":
    main()
