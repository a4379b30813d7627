"""Session tokens: signed access tokens (JWT, RFC 7519 and 9068) and refresh tokens that are valid once.

A refresh token is `oms-refresh.<session>.<generation>.<key>.<mac>`. The MAC is derived from the session and
the generation. The successor of a token can therefore be computed again and is not stored.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

ISSUER, AUDIENCE = "slackoms", "slackoms-api"
ALGORITHM, TYPE = "HS256", "at+jwt"
MAX_TOKEN_LENGTH = 1500
MAX_CLOCK_SKEW = timedelta(seconds=5)
REFRESH_GRACE_PERIOD = timedelta(seconds=10)  # covers a response that was lost in transit
_MAX_TIMESTAMP = 2**37  # seconds since 1970: the year 6325
_CLAIMS = ["iss", "aud", "sub", "tid", "sid", "iat", "nbf", "exp", "jti"]
_ACCESS = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_REFRESH = re.compile(
    r"oms-refresh\.([0-9a-f]{32})\.(0|[1-9][0-9]{0,8})\.([A-Za-z0-9_-]{1,32})\.([A-Za-z0-9_-]{43})"
)
_SESSION_ID = re.compile(r"[0-9a-f]{32}")


class BadToken(ValueError):
    """Raised when the token is malformed, expired, or signed by an unknown key.

    The message does not say which.
    """


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A named secret. `refresh_secret` is derived from it and signs refresh tokens only."""

    kid: str
    secret: bytes = field(repr=False)
    refresh_secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class TokenKeys:
    """The first key signs and all keys verify, so that keys can be rotated without ending sessions."""

    keys: tuple[SigningKey, ...]

    def get_signer(self) -> SigningKey:
        """Return the key that signs."""
        return self.keys[0]

    def find(self, kid: object) -> SigningKey:
        """Return the key of that name. Raises BadToken if there is none."""
        for key in self.keys:
            if key.kid == kid:
                return key
        raise BadToken


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """The claims of an access token: its session and its expiry."""

    tenant_id: int
    user_id: int
    session_id: str
    expires_at: datetime


def build_key_ring(
    jwt_keys: str | None, master_key: str, previous_master_key: str | None = None
) -> TokenKeys:
    """Return the keys of `jwt_keys` ("name:secret,…"; a name may be left out).

    Without any, return keys derived from the current and the previous master key.
    """
    if jwt_keys:
        return TokenKeys(tuple(_parse_keys(jwt_keys)))
    masters = [master_key, *([previous_master_key] if previous_master_key else [])]
    return TokenKeys(
        tuple(_build_key("", derive_key(master.encode(), b"slackoms jwt v1")) for master in masters)
    )


def derive_key(secret: bytes, purpose: bytes, salt: bytes = b"", length: int = 32) -> bytes:
    """Derive key material for a purpose by HKDF with SHA-256 (RFC 5869)."""
    pseudorandom = hmac.digest(salt or bytes(32), secret, hashlib.sha256)
    material, block = b"", b""
    for counter in range(1, -(-length // 32) + 1):
        block = hmac.digest(pseudorandom, block + purpose + bytes([counter]), hashlib.sha256)
        material += block
    return material[:length]


def sign_access_token(access: AccessClaims, ring: TokenKeys, now: datetime, token_id: str) -> str:
    """Return the signed access token."""
    import jwt  # noqa: PLC0415  # costs the start of a process 30 ms that most never need

    key = ring.get_signer()
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": str(access.user_id),
        "tid": access.tenant_id,
        "sid": access.session_id,
        "iat": int(now.timestamp()),
        "nbf": int(now.timestamp()),
        "exp": int(access.expires_at.timestamp()),
        "jti": token_id,
    }
    return jwt.encode(claims, key.secret, ALGORITHM, {"typ": TYPE, "kid": key.kid})


def verify_access_token(token: str, ring: TokenKeys, now: datetime) -> AccessClaims:
    """Return the claims of a valid token signed by one of the keys. Raises BadToken otherwise."""
    import jwt  # noqa: PLC0415  # as above

    if len(token) > MAX_TOKEN_LENGTH or not _ACCESS.fullmatch(token):
        raise BadToken
    try:
        header = jwt.get_unverified_header(token)
        if header != {"alg": ALGORITHM, "typ": TYPE, "kid": header.get("kid")}:
            raise BadToken  # another algorithm or type, or a key embedded in the token
        secret = ring.find(header["kid"]).secret
        claims = jwt.decode(
            token,
            secret,
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            issuer=ISSUER,
            options={"require": _CLAIMS, "verify_exp": False, "verify_nbf": False, "verify_iat": False},
        )
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise BadToken from None
    return _build_access_claims(claims, now)


def create_refresh_token(session_id: str, generation: int, ring: TokenKeys) -> str:
    """Return the session's refresh token of that generation. The result is deterministic."""
    key = ring.get_signer()
    return f"oms-refresh.{session_id}.{generation}.{key.kid}.{_compute_mac(key, session_id, generation)}"


def verify_refresh_token(token: str, ring: TokenKeys) -> tuple[str, int]:
    """Return the session and generation of a refresh token signed by one of the keys.

    Raises BadToken otherwise.
    """
    parts = _REFRESH.fullmatch(token) if len(token) <= MAX_TOKEN_LENGTH else None
    if parts is None:
        raise BadToken
    session_id, generation, kid, mac = parts.groups()
    if not hmac.compare_digest(mac, _compute_mac(ring.find(kid), session_id, int(generation))):
        raise BadToken
    return session_id, int(generation)


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of a session. `expires_in` is the lifetime of the access token in seconds."""

    access: str = field(repr=False)
    refresh: str = field(repr=False)
    expires_in: int


class RefreshDecision(Enum):
    """The decision on a presented refresh token."""

    CURRENT = "exchange it for its successor"
    REPEATED = "the answer was lost: return the same successor again"
    REUSED = "it was exchanged before, maybe by another person: end the session"
    ENDED = "the session is over"


@dataclass(frozen=True, slots=True)
class SessionState:
    """The state of a session."""

    generation: int
    client_hash: str
    rotated_at: datetime
    expires_at: datetime
    revoked: bool


def decide_refresh(
    session: SessionState, generation: int, client_hash: str, now: datetime, idle: timedelta
) -> RefreshDecision:
    """Decide how to handle a refresh token of `generation` that the client presents now."""
    since = now - session.rotated_at
    if session.revoked or session.expires_at <= now or since >= idle:
        return RefreshDecision.ENDED
    if generation == session.generation:
        return RefreshDecision.CURRENT
    is_last = generation == session.generation - 1
    if is_last and since <= REFRESH_GRACE_PERIOD and hmac.compare_digest(client_hash, session.client_hash):
        return RefreshDecision.REPEATED
    return RefreshDecision.REUSED


def _parse_keys(jwt_keys: str) -> Iterator[SigningKey]:
    for written in jwt_keys.split(","):
        name, colon, secret = written.strip().partition(":")
        yield _build_key(name, secret.encode()) if colon else _build_key("", name.encode())


def _build_key(name: str, secret: bytes) -> SigningKey:
    kid = name or derive_key(secret, b"slackoms key name v1", length=6).hex()
    return SigningKey(kid, secret, derive_key(secret, b"slackoms refresh v1"))


def _compute_mac(key: SigningKey, session_id: str, generation: int) -> str:
    mac = hmac.digest(key.refresh_secret, f"{session_id}.{generation}".encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def _build_access_claims(claims: dict[str, Any], now: datetime) -> AccessClaims:
    numbers = [claims[name] for name in ("tid", "iat", "nbf", "exp")]
    if not all(type(number) is int and 0 < number < _MAX_TIMESTAMP for number in numbers):
        raise BadToken
    subject, session_id = claims["sub"], claims["sid"]
    if not (isinstance(session_id, str) and _SESSION_ID.fullmatch(session_id)):
        raise BadToken
    if not (subject.isascii() and subject.isdigit() and len(subject) < 19 and isinstance(claims["aud"], str)):
        raise BadToken
    tenant_id, _, not_before, expires = numbers
    expires_at = datetime.fromtimestamp(expires, UTC)
    if not_before > (now + MAX_CLOCK_SKEW).timestamp() or expires_at <= now:
        raise BadToken
    return AccessClaims(tenant_id, int(subject), session_id, expires_at)
