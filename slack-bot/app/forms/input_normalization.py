"""Replace typographic quotes, spaces and dashes by the plain ones."""

import re

DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d"
SINGLE_QUOTES = "\u2018\u2019\u201a\u201b\u2032"
DOUBLE_QUOTES = "\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb"
SPACES = "\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
PLAIN_CHARACTERS = str.maketrans(
    dict.fromkeys(DASHES, "-")
    | dict.fromkeys(SINGLE_QUOTES, "'")
    | dict.fromkeys(DOUBLE_QUOTES, '"')
    | dict.fromkeys(SPACES, " ")
)
GROUPING_SPACE = re.compile(r"(?<=[0-9])[\u00a0\u2009\u202f](?=[0-9]{3}(?![0-9]))")
QUOTE_PAIRS = ('""', "''")


def normalize_punctuation(text: str) -> str:
    """Return the text with plain quotes, spaces and dashes.

    A non-breaking space between digits groups them.
    """
    return GROUPING_SPACE.sub(",", text).translate(PLAIN_CHARACTERS)


def strip_quotes(text: str) -> str:
    """Return the text with plain punctuation, trimmed, without quotes around the whole text."""
    plain = normalize_punctuation(text).strip()
    return plain[1:-1].strip() if len(plain) > 1 and plain[0] + plain[-1] in QUOTE_PAIRS else plain


def strip_name_quotes(text: str) -> str:
    """Return the name without quotes around the whole name. The rest stays as it was typed."""
    name = text.strip()
    is_quoted = len(name) > 2 and normalize_punctuation(name[0] + name[-1]) in QUOTE_PAIRS
    return name[1:-1].strip() if is_quoted else name
