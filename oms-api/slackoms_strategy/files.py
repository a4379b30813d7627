"""Files of a strategy's package, such as a trained model. Their hashes stand in the strategy's code."""

import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path

MAX_FILE_BYTES = 64_000_000
_PICKLE_PROTOCOLS = frozenset(bytes((0x80, number)) for number in range(2, 6))


class InvalidFile(ValueError):
    """A file is not declared, missing, too large, a pickle, or other than its hash says."""


def read_declared_file(owner: type, declared: Mapping[str, str], name: str) -> bytes:
    """Return a file that lies beside the module of a strategy's class. Raises InvalidFile.

    `declared` has the SHA-256 hash of each file by its name. A pickle can run code, and is refused.
    """
    if name not in declared:
        names = ", ".join(declared) or "none"
        raise InvalidFile(f"{name!r} is not in `files` of the strategy. Its files are: {names}.")
    module_file = getattr(sys.modules.get(owner.__module__), "__file__", None)
    if Path(name).name != name or module_file is None:
        raise InvalidFile(f"{name!r} must be the name of a file beside the strategy's module.")
    try:
        with Path(module_file).with_name(name).open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise InvalidFile(f"{name!r} cannot be read: {error.strerror}.") from None
    if len(content) > MAX_FILE_BYTES:
        raise InvalidFile(f"{name!r} has more than {MAX_FILE_BYTES} bytes.")
    if content[:2] in _PICKLE_PROTOCOLS:
        raise InvalidFile(f"{name!r} is a pickle. Use a format that cannot run code, such as JSON.")
    computed_hash = hashlib.sha256(content).hexdigest()
    if computed_hash != declared[name].lower():
        raise InvalidFile(f"{name!r} has the hash {computed_hash}, not that in `files` of the strategy.")
    return content
