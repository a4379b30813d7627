"""Replace OMS_API_KEY in a `.env` file and keep the previous key."""

from pathlib import Path

from dotenv import dotenv_values, set_key

CURRENT, PREVIOUS = "OMS_API_KEY", "OMS_API_KEY_PREVIOUS"


class NoMasterKey(Exception):
    """Raised when the file has no key to replace."""


def read_current_key(file: Path) -> str:
    """Return the key in the file. Raises NoMasterKey."""
    try:
        key = dotenv_values(file, interpolate=False).get(CURRENT) if file.is_file() else None
    except (OSError, UnicodeDecodeError):
        key = None
    if not key:
        raise NoMasterKey(f"{file} has no {CURRENT}.")
    return key


def replace_key(file: Path, new: str) -> None:
    """Make the file's key the previous one and `new` the current one. Raises OSError.

    The file holds a valid key even if this is interrupted.
    """
    set_key(file, PREVIOUS, read_current_key(file), quote_mode="auto", follow_symlinks=True)
    set_key(file, CURRENT, new, quote_mode="never", follow_symlinks=True)
