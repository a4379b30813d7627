"""A signed statement of the operator's bot about a workspace and an API key.

The bot states that it verified the token of the workspace and uses the API key. The form is `v1:<team
id>:<key id>:<issued at, Unix seconds>:<nonce>:<HMAC-SHA256 of all before, in hexadecimal>`. The operator
shares the secret with no tenant: a signer is trusted to have called Slack's `auth.test`.
"""

import hashlib
import hmac
import re
from datetime import datetime
from typing import NamedTuple

MAX_AGE_SECONDS = 300
_CONTEXT = b"slackoms workspace statement v1"
_STATEMENT_PATTERN = re.compile(
    r"v1:(?P<team_id>[A-Z0-9]{1,20}):(?P<key_id>[a-z0-9]{12}):(?P<issued_at>[0-9]{1,12}):(?P<nonce>[0-9a-f]{32})"
    r":(?P<signature>[0-9a-f]{64})",
    re.ASCII,
)


class WorkspaceStatement(NamedTuple):
    """The content of a valid statement."""

    team_id: str
    key_id: str
    nonce: str


class StatementReader:
    """Reads statements signed with the secret. Without a secret no statement is valid."""

    def __init__(self, secret: str | None) -> None:
        self._secret = secret

    def read(self, text: str, now: datetime) -> WorkspaceStatement | None:
        """Return the statement's content, or None if it is not signed or is older than five minutes."""
        match = _STATEMENT_PATTERN.fullmatch(text)
        if match is None or self._secret is None:
            return None
        signed, _, signature = text.rpartition(":")
        if not hmac.compare_digest(signature, sign_statement(signed, self._secret)):
            return None
        if abs(now.timestamp() - int(match["issued_at"])) > MAX_AGE_SECONDS:
            return None
        return WorkspaceStatement(match["team_id"], match["key_id"], match["nonce"])


def sign_statement(text: str, secret: str) -> str:
    """Return the signature of the text in hexadecimal."""
    key = hmac.digest(secret.encode(), _CONTEXT, hashlib.sha256)
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
