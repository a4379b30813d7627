"""What the app's manifest says: its name, slash commands, event subscriptions and scopes."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FALLBACK_COMMANDS = (
    ("/trade", "Place a trade", "[SYMBOL] or buy 100 AAPL @ 175 in Growth"),
    ("/trade-help", "How to trade from here", ""),
)


@dataclass(frozen=True)
class Command:
    """A slash command as the message box suggests it."""

    command: str
    description: str
    usage_hint: str


@dataclass(frozen=True)
class Manifest:
    """The part of the manifest that the simulator acts on."""

    bot_name: str
    commands: tuple[Command, ...]
    bot_events: frozenset[str]
    scopes: tuple[str, ...]


def read(path: Path) -> Manifest:
    """Return the manifest at ``path``, or a usable one where there is none or it is not JSON."""
    try:
        return parse(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return parse({})


def parse(manifest: dict[str, Any]) -> Manifest:
    """Pick what matters from a manifest's JSON; absent parts get defaults."""
    features = manifest.get("features", {})
    subscriptions = manifest.get("settings", {}).get("event_subscriptions", {})
    return Manifest(
        bot_name=features.get("bot_user", {}).get("display_name", "SlackOMS"),
        commands=_commands(features.get("slash_commands", [])),
        bot_events=frozenset(subscriptions.get("bot_events", [])),
        scopes=tuple(
            manifest.get("oauth_config", {}).get("scopes", {}).get("bot", ["commands", "chat:write"])
        ),
    )


def _commands(rows: list[dict[str, str]]) -> tuple[Command, ...]:
    if not rows:
        return tuple(Command(*row) for row in FALLBACK_COMMANDS)
    return tuple(
        Command(row["command"], row.get("description", ""), row.get("usage_hint", "")) for row in rows
    )
