"""Compare the scopes that Slack granted with those of the manifest."""

import json
import logging
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from app.config import MANIFEST_FILE

log = logging.getLogger(__name__)

HEADER = "x-oauth-scopes"
FILES_WRITE = "files:write"


class GrantedScopes:
    """The scopes of the bot token, as the latest response of `auth.test` named them."""

    def __init__(self, required: Iterable[str]):
        self._required = tuple(required)
        self.missing: tuple[str, ...] = ()

    def update(self, headers: Mapping[str, Any]) -> None:
        """Read the scopes of a response. Without the header, nothing changes. Log scopes that are missing."""
        scopes_text = {str(name).lower(): value for name, value in headers.items()}.get(HEADER)
        if scopes_text is None:
            return
        text = scopes_text[0] if isinstance(scopes_text, list) else scopes_text
        granted = {part.strip() for part in str(text).split(",")}
        missing = tuple(scope for scope in self._required if scope not in granted)
        if missing and missing != self.missing:
            log.warning("Scopes missing: install the app again", extra={"scopes": ", ".join(missing)})
        self.missing = missing

    def set_granted(self, granted: str) -> None:
        """Set the scopes, separated by commas, that an installation was granted. Empty if not known."""
        if granted:
            self.update({HEADER: granted})

    def has(self, scope: str) -> bool:
        """Return whether a scope is granted, as far as is known."""
        return scope not in self.missing


@cache
def list_manifest_scopes() -> tuple[str, ...]:
    """Return the bot scopes of the manifest. Nothing if the file is not there."""
    try:
        manifest = json.loads(MANIFEST_FILE.read_text(encoding="utf-8"))
        return tuple(manifest["oauth_config"]["scopes"]["bot"])
    except (OSError, ValueError, KeyError):
        return ()
