"""E-mail addresses as names of people: nothing is ever sent to them, so that reserved domains are welcome."""

import re
import unicodedata

MOST_LENGTH = 254
_FORM = re.compile(r"[^@\s]{1,64}@[^@\s]{1,189}")


def normalise_email(text: str) -> str | None:
    """Return the address trimmed, in NFC and lower case; None unless it is `x@y`."""
    address = unicodedata.normalize("NFC", text.strip()).lower()
    return address if _FORM.fullmatch(address) and address.isprintable() else None
