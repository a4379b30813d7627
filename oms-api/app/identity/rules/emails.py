"""E-mail addresses as user names. No mail is ever sent, so reserved domains are allowed."""

import re
import unicodedata

MAX_LENGTH = 254
_EMAIL_PATTERN = re.compile(r"[^@\s]{1,64}@[^@\s]{1,189}")


def normalize_email(text: str) -> str | None:
    """Return the address trimmed, in NFC and lower case, or None unless it has the form `x@y`."""
    address = unicodedata.normalize("NFC", text.strip()).lower()
    return address if _EMAIL_PATTERN.fullmatch(address) and address.isprintable() else None
