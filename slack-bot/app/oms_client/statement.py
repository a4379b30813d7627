"""Sign the statement with which the bot claims its workspace.

It states that Slack named this workspace for the bot token, and that the bot uses this API key. The OMS
verifies it in `workspace_statements`.
"""

import hashlib
import hmac
import re

CONTEXT = b"slackoms workspace statement v1"
MINTED_KEY = re.compile(r"oms_([a-z0-9]{12})_[a-z0-9]+", re.ASCII)


def get_key_id(api_key: str) -> str:
    """Return the id of an API key: created by the OMS, or set in the environment of the OMS."""
    match = MINTED_KEY.fullmatch(api_key)
    return match[1] if match else hashlib.sha256(api_key.encode()).hexdigest()[:12]


def sign_statement(team_id: str, key_id: str, secret: str, *, issued_at: int, nonce: str) -> str:
    """Return the statement. `issued_at` is in Unix seconds; `nonce` is 32 hexadecimal digits."""
    text = f"v1:{team_id}:{key_id}:{issued_at}:{nonce}"
    key = hmac.digest(secret.encode(), CONTEXT, hashlib.sha256)
    return f"{text}:{hmac.new(key, text.encode(), hashlib.sha256).hexdigest()}"
