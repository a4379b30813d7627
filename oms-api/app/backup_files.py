"""Files of a backup: compressed, encrypted if there is a key, and listed in a manifest with their hashes."""

import base64
import hashlib
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import orjson

from app.encryption import DecryptionFailed, EncryptionKeys

MANIFEST_FILE = "manifest.json"
BACKUP_FORMAT = 1
FRAME_BYTES = 1 << 20
_LENGTH_BYTES = 4
_GZIP_WINDOW_BITS = 31  # the window bits of the gzip format


class InvalidBackup(Exception):
    """Raised when the backup is incomplete, was changed, or cannot be decrypted."""


class FileEntry(NamedTuple):
    """A file of a backup in its manifest. `columns` are those of a table."""

    name: str
    sha256: str
    bytes: int
    table: str | None = None
    columns: tuple[str, ...] = ()


class Manifest(NamedTuple):
    """The contents of a backup.

    `heads` are the ends of all hash chains at the moment of the backup, by "ledger" and "audit". `sequences`
    are the last values of the database's counters.
    """

    id: str
    created_at: str
    database: str
    revision: str
    is_encrypted: bool
    files: tuple[FileEntry, ...]
    heads: dict[str, list[list[Any]]]
    sequences: dict[str, int]


class BackupWriter:
    """Writes a file of a backup. Frames end with an empty one, so that a cut file is noticed."""

    def __init__(self, path: Path, keys: EncryptionKeys | None, context: str) -> None:
        self._path, self._keys, self._context = path, keys, context
        self._file = path.open("xb")
        self._packer = zlib.compressobj(wbits=_GZIP_WINDOW_BITS)
        self._hash, self._pending_bytes, self._frames, self.bytes = hashlib.sha256(), bytearray(), 0, 0

    def write(self, content: bytes) -> int:
        """Append data."""
        self._pending_bytes += self._packer.compress(content)
        while len(self._pending_bytes) >= FRAME_BYTES:
            self._write_frame(bytes(self._pending_bytes[:FRAME_BYTES]))
            del self._pending_bytes[:FRAME_BYTES]
        return len(content)

    def close(self) -> FileEntry:
        """Finish the file and return its entry."""
        self._pending_bytes += self._packer.flush()
        if self._pending_bytes:
            self._write_frame(bytes(self._pending_bytes))
        self._write_frame(b"")
        self._file.close()
        return FileEntry(self._path.name, self._hash.hexdigest(), self.bytes)

    def _write_frame(self, frame: bytes) -> None:
        if self._keys is not None:
            frame = self._keys.encrypt(
                base64.b64encode(frame).decode(), f"{self._context}/{self._frames}"
            ).encode()
        self._frames += 1
        framed = len(frame).to_bytes(_LENGTH_BYTES, "big") + frame
        self._hash.update(framed)
        self.bytes += len(framed)
        self._file.write(framed)


class BackupReader:
    """Reads the content of a file of a backup. Raises InvalidBackup."""

    def __init__(self, file: BinaryIO, keys: EncryptionKeys | None, context: str) -> None:
        self._file, self._keys, self._context = file, keys, context
        self._unpacker = zlib.decompressobj(wbits=_GZIP_WINDOW_BITS)
        self._content, self._frames, self._is_over = bytearray(), 0, False

    def read(self, size: int = -1) -> bytes:
        """Return at most `size` bytes, empty at the end."""
        while not self._is_over and (size < 0 or len(self._content) < size):
            frame = self._read_frame()
            self._is_over = not frame
            try:
                self._content += self._unpacker.decompress(frame)
            except zlib.error:
                raise InvalidBackup("A file of the backup is damaged.") from None
        end = len(self._content) if size < 0 else size
        content = bytes(self._content[:end])
        del self._content[:end]
        return content

    def iterate_lines(self) -> Iterator[bytes]:
        """Yield the lines of the content, without their ends."""
        incomplete_line = b""
        while content := self.read(FRAME_BYTES):
            *lines, incomplete_line = (incomplete_line + content).split(b"\n")
            yield from lines

    def _read_frame(self) -> bytes:
        length = self._file.read(_LENGTH_BYTES)
        frame = self._file.read(int.from_bytes(length, "big"))
        if len(length) < _LENGTH_BYTES or len(frame) < int.from_bytes(length, "big"):
            raise InvalidBackup("A file of the backup is cut off.")
        if self._keys is not None:
            try:
                text = self._keys.decrypt(frame.decode("ascii"), f"{self._context}/{self._frames}")
            except (DecryptionFailed, UnicodeDecodeError):
                raise InvalidBackup("The backup cannot be decrypted with BACKUP_KEYS.") from None
            frame = base64.b64decode(text)
        self._frames += 1
        return frame


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest, last: a backup without one is not complete."""
    fields = manifest._asdict() | {
        "format": BACKUP_FORMAT,
        "files": [file._asdict() for file in manifest.files],
    }
    (folder / MANIFEST_FILE).write_bytes(orjson.dumps(fields, option=orjson.OPT_INDENT_2))


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of a backup whose files have the sizes and hashes in it. Raises InvalidBackup."""
    try:
        fields = orjson.loads((folder / MANIFEST_FILE).read_bytes())
    except (OSError, orjson.JSONDecodeError):
        raise InvalidBackup(f"{folder} has no manifest; the backup is not complete.") from None
    if fields.pop("format", None) != BACKUP_FORMAT:
        raise InvalidBackup("The backup was made by another version.")
    files = [FileEntry(**{**item, "columns": tuple(item["columns"])}) for item in fields.pop("files")]
    manifest = Manifest(**fields, files=tuple(files))
    for entry in manifest.files:
        path = folder / Path(entry.name).name
        if not path.is_file() or _hash_file(path) != entry.sha256:
            raise InvalidBackup(f"{entry.name} is missing or was changed.")
    return manifest


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
