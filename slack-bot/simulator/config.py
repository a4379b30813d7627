"""Settings from the environment. No other module reads it."""

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from simulator.errors import ConfigError

REQUIRED = ("SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", "BOT_URL")
HIGHEST_PORT = 65_535


@dataclass(frozen=True)
class Settings:
    """Addresses of the simulator, the bot and the OMS, and the secrets shared with the bot.

    Without an OMS, the page shows no orders and positions.
    """

    bot_token: str = field(repr=False)
    signing_secret: str = field(repr=False)
    bot_url: str
    host: str = "127.0.0.1"
    port: int = 3010
    oms_api_url: str = ""
    oms_api_key: str = field(default="", repr=False)
    manifest: Path = Path(__file__).parent.parent / "manifest.json"


def load(environment: Mapping[str, str] | None = None) -> Settings:
    """Return the settings of ``environment`` (by default the environment of the process).

    Raises ConfigError.
    """
    env = os.environ if environment is None else environment
    missing = [name for name in REQUIRED if not env.get(name, "").strip()]
    if missing:
        raise ConfigError(f"Set {', '.join(missing)}: the simulator and the bot have to share them.")
    oms_api_url, oms_api_key = _load_oms(
        env.get("OMS_API_URL", "").strip(), env.get("OMS_API_KEY", "").strip()
    )
    return Settings(
        bot_token=env["SLACK_BOT_TOKEN"].strip(),
        signing_secret=env["SLACK_SIGNING_SECRET"].strip(),
        bot_url=_parse_url("BOT_URL", env["BOT_URL"].strip()),
        host=_parse_host(env.get("HOST", "").strip() or "127.0.0.1"),
        port=_parse_port(env.get("PORT", "").strip() or "3010"),
        oms_api_url=oms_api_url,
        oms_api_key=oms_api_key,
    )


def is_loopback(host: str) -> bool:
    """Whether ``host`` is this machine. It is a name or an address; IPv6 may have brackets."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False


def _parse_host(host: str) -> str:
    if not is_loopback(host):
        raise ConfigError(
            f"HOST={host} is refused: the simulator has no logins, so it listens on this machine only. "
            "Use HOST=127.0.0.1."
        )
    address = host.removeprefix("[").removesuffix("]")
    return "127.0.0.1" if address.lower() == "localhost" else address


def _parse_port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= HIGHEST_PORT):
        raise ConfigError(f"PORT={text} is not a port number between 0 and {HIGHEST_PORT}.")
    return int(text)


def _load_oms(url: str, key: str) -> tuple[str, str]:
    """Return the address and the key of the OMS. The result is empty texts unless both are set."""
    return (_parse_url("OMS_API_URL", _with_scheme(url)), key) if url and key else ("", "")


def _with_scheme(text: str) -> str:
    # The same rule as in the bot: `host:port` implies HTTP, a public host name alone implies TLS.
    if "://" in text:
        return text
    return f"http://{text}" if urlsplit(f"//{text}").port or is_loopback(text) else f"https://{text}"


def _parse_url(name: str, text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigError(f"{name}={text} is not an http address such as http://127.0.0.1:3000.")
    return text.rstrip("/")
