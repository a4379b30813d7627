"""Parse the app's manifest: its name, slash commands, event subscriptions and scopes."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FALLBACK_COMMANDS = (("/trade", "Place a trade", "[SYMBOL] or buy 100 AAPL @ 175 in Growth"),)


@dataclass(frozen=True)
class Command:
    """A slash command, as the message box suggests it."""

    command: str
    description: str
    usage_hint: str


@dataclass(frozen=True)
class Manifest:
    """The parts of the manifest that the simulator uses."""

    bot_name: str
    commands: tuple[Command, ...]
    bot_events: frozenset[str]
    scopes: tuple[str, ...]


def read(path: Path) -> Manifest:
    """Return the manifest at ``path``, or a default if the file is missing or not JSON."""
    try:
        return parse(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return parse({})


def parse(manifest: dict[str, Any]) -> Manifest:
    """Parse the JSON of a manifest. Missing parts get defaults."""
    features = manifest.get("features", {})
    subscriptions = manifest.get("settings", {}).get("event_subscriptions", {})
    return Manifest(
        bot_name=features.get("bot_user", {}).get("display_name", "SlackOMS"),
        commands=_parse_commands(features.get("slash_commands", [])),
        bot_events=frozenset(subscriptions.get("bot_events", [])),
        scopes=tuple(
            manifest.get("oauth_config", {}).get("scopes", {}).get("bot", ["commands", "chat:write"])
        ),
    )


def _parse_commands(rows: list[dict[str, str]]) -> tuple[Command, ...]:
    if not rows:
        return tuple(Command(*row) for row in FALLBACK_COMMANDS)
    return tuple(
        Command(row["command"], row.get("description", ""), row.get("usage_hint", "")) for row in rows
    )
