"""A bundle as a file: a few members of fixed names, each with its hash, nothing else permitted.

It is a stored zip (no compression) or a folder. The zip has exactly one form: what this module
would write for the same members, byte for byte. So a flipped bit anywhere is seen, and there is no
room for a second member of a name, a link, a compressed bomb or bytes before and after.
"""

__all__ = [
    "Bundle",
    "CAPS",
    "parse_bundle",
    "read_bundle",
    "read_json",
    "write_bundle",
    "write_json",
]

import hashlib
import json
import os
import re
import shutil
import stat
import struct
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manumatic.errors import DataError
from manumatic.files import write_whole

FORMAT = 1
MANIFEST = "manifest.json"
MB = 2**20
# Members in their order, and the most bytes of each: looked at before a byte of it is read.
CAPS = {
    MANIFEST: MB,
    "schema.json": 16 * MB,
    "golden.json": 64 * MB,
    "parity.json": MB,
    "history.json": 64 * MB,
    "config.json": 64 * MB,
    "weights.safetensors": 4095 * MB,
    "preprocess.skops": 2047 * MB,
    "serve.onnx": 2047 * MB,
    "estimator.pickle": 4095 * MB,
}
LARGEST = 2**32 - 1  # what a zip without extensions can say
HEAD = re.compile(rb'\{"digest": "([0-9a-f]{64})",')
# Fields of a zip, in the only values that they take here: no flags, no compression, 1980-01-01.
LOCAL, CENTRAL, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
FIXED = (20, 0, 0, 0, 0x21)  # version, flags, method, time, date
PLAIN_FILE = (stat.S_IFREG | 0o644) << 16


@dataclass(frozen=True)
class Bundle:
    """A bundle that was read, and whose every byte is as it was written.

    Attributes
    ----------
    path : Path
    manifest : dict
        ``format``, ``about`` (versions, notes), ``members`` with ``sha256`` and ``size``.
    digest : str
        SHA-256 over all of it: the name of this version of the model.
    members : dict of str to memoryview
        Content by name.
    """

    path: Path
    manifest: dict[str, Any]
    digest: str
    members: Mapping[str, memoryview]

    def __contains__(self, name: str) -> bool:
        return name in self.members

    def read(self, name: str) -> bytes:
        """The content of a member; DataError where there is none of that name."""
        if name not in self.members:
            raise DataError(f"{self.path} has no {name}; it holds {', '.join(self.members)}")
        return bytes(self.members[name])

    def json(self, name: str) -> Any:
        """A member as plain values; DataError where it is none or no JSON."""
        return read_json(self.read(name), f"{self.path}: {name}")


def write_json(value: Any) -> bytes:
    """Plain values as UTF-8; a float comes back as the same float.

    Parameters
    ----------
    value : dict, list, str, int, float, bool or None
        Without NaN and infinities, which are no JSON.
    """
    return json.dumps(value, allow_nan=False, ensure_ascii=False, indent=1).encode()


def read_json(content: bytes, where: str) -> Any:
    """JSON, read strictly.

    Parameters
    ----------
    content : bytes
    where : str
        For the message.

    Raises
    ------
    DataError
        It is no JSON, has NaN, the same key twice, or is nested too deeply.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) < len(pairs):
            raise ValueError(f"a key is there twice among {[key for key, _ in pairs][:5]}")
        return dict(pairs)

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is no number in JSON")

    try:
        return json.loads(content, object_pairs_hook=unique, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where} cannot be read as JSON: {error}") from None


# --- writing -------------------------------------------------------------------------------------


def write_bundle(
    path: str | Path, members: Mapping[str, bytes], about: Mapping[str, Any] | None = None
) -> Bundle:
    """Write a bundle whole or not at all: a kill or a full disk leaves the old file.

    Parameters
    ----------
    path : path
        One file; a folder where it ends in ``/``. A folder that is there is never replaced,
        because no file system can exchange a full folder in one step.
    members : mapping of str to bytes
        Names of ``CAPS``.
    about : mapping, optional
        Plain values for the manifest, such as versions.

    Raises
    ------
    DataError
        A name that is none of a bundle's, too many bytes, or a folder that is there.

    Examples
    --------
    >>> bundle = write_bundle("model.mm", {"schema.json": b"{}"})  # doctest: +SKIP
    """
    content = {MANIFEST: _manifest(members, dict(about or {})), **members}
    content = {name: content[name] for name in CAPS if name in content}
    if str(path).endswith(("/", os.sep)):
        _write_folder(Path(path), content)
    else:
        if Path(path).is_dir():
            raise DataError(f"{path} is a folder; a bundle is one file, or a new folder 'name/'")
        write_whole(path, b"".join(_pieces(content)))
    views = {name: memoryview(part) for name, part in content.items()}
    return _verified(Path(path), views)


def _manifest(members: Mapping[str, bytes], about: dict[str, Any]) -> bytes:
    """Line one holds the hash of all lines below, so that it can be checked before it is parsed."""
    strange = sorted(set(members) - (set(CAPS) - {MANIFEST}))
    if strange:
        raise DataError(f"a bundle has no member {strange[0]!r}; there are {', '.join(CAPS)}")
    for name, content in members.items():
        _check_size(name, len(content))
    if sum(map(len, members.values())) > LARGEST - MB * 2:
        raise DataError(
            f"{sum(map(len, members.values()))} bytes are more than a bundle holds ({LARGEST})"
        )
    listed = {
        name: {"sha256": hashlib.sha256(members[name]).hexdigest(), "size": len(members[name])}
        for name in CAPS
        if name in members
    }
    told = {"format": FORMAT, "about": about, "members": listed}
    body = write_json(told).partition(b"\n")[2]
    return b'{"digest": "%s",\n%s' % (hashlib.sha256(body).hexdigest().encode(), body)


def _check_size(name: str, size: int) -> None:
    if size > CAPS[name]:
        raise DataError(f"{name} has {size} bytes, more than the {CAPS[name]} allowed")


def _pieces(members: Mapping[str, Any]) -> Iterator[Any]:
    """The bytes of the zip, in order."""
    directory, offset = [], 0
    for name, content in members.items():
        title = name.encode("ascii")
        sizes = (zlib.crc32(content), len(content), len(content), len(title), 0)
        yield struct.pack("<4s5H3L2H", LOCAL, *FIXED, *sizes)
        yield title
        yield content
        made_by = 3 << 8 | 20  # Unix: the mode of a plain file stands in the attributes
        rest = (0, 0, 0, PLAIN_FILE, offset)  # comment, disk, kind
        directory.append(
            struct.pack("<4sH5H3L2H3H2L", CENTRAL, made_by, *FIXED, *sizes, *rest) + title
        )
        offset += 30 + len(title) + len(content)
    yield from directory
    size, count = sum(map(len, directory)), len(directory)
    yield struct.pack("<4s4H2LH", END, 0, 0, count, count, size, offset, 0)


def _write_folder(path: Path, members: Mapping[str, bytes]) -> None:
    if os.path.lexists(path):
        raise DataError(f"{path} is there; delete it, or give another name: no folder is replaced")
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))  # mode 0o700
    try:
        for name, content in members.items():
            write_whole(beside / name, content)
        beside.chmod(0o755)
        os.rename(beside, path)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


# --- reading -------------------------------------------------------------------------------------


def read_bundle(path: str | Path) -> Bundle:
    """Read a bundle and check every byte; nothing in it is parsed before its hash is right.

    Parameters
    ----------
    path : path
        A file, or a folder.

    Raises
    ------
    DataError
        It is damaged, holds what a bundle has no place for, or is of a later format.
    OSError
        It is not there, or may not be read.

    Examples
    --------
    >>> read_bundle("model.mm").digest[:8]  # doctest: +SKIP
    '3f1c2a77'
    """
    path = Path(path)
    if path.is_dir():
        return _verified(path, _read_folder(path))
    return parse_bundle(_read_file(path, LARGEST, follow=True), path)


def parse_bundle(content: bytes, path: str | Path = "the bundle") -> Bundle:
    """As :func:`read_bundle`, from bytes that are there already.

    Parameters
    ----------
    content : bytes
        Of a bundle in one file.
    path : path
        Where they are from, for messages.

    Raises
    ------
    DataError
        As :func:`read_bundle`.
    """
    path = Path(path)
    return _verified(path, _unpack(path, memoryview(content)))


def _read_file(path: Path, most: int, *, follow: bool) -> bytes:
    """All bytes of a plain file, by one descriptor; sizes are looked at before memory is taken."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    if not follow:
        if path.is_symlink():
            raise DataError(f"{path} is a link; a bundle has none")
        flags |= getattr(os, "O_NOFOLLOW", 0)  # also where it has become one since
    with os.fdopen(os.open(path, flags), "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise DataError(f"{path} is no plain file")
        if found.st_size > most:
            raise DataError(f"{path} has {found.st_size} bytes, more than the {most} allowed")
        content = file.read(found.st_size)
    if len(content) != found.st_size:
        raise DataError(f"{path} became shorter while it was read")
    return content


def _read_folder(path: Path) -> dict[str, memoryview]:
    names = sorted(os.listdir(path))
    _check_names(path, names)
    return {
        name: memoryview(_read_file(path / name, CAPS[name], follow=False))
        for name in CAPS
        if name in names
    }


def _check_names(path: Path, names: list[str]) -> None:
    for name in names:
        if name not in CAPS:
            raise DataError(f"{path} holds {name!r}, for which a bundle has no place")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{path} holds {twice!r} twice")


def _unpack(path: Path, content: memoryview) -> dict[str, memoryview]:
    """Where the members are; then the zip must be just what would be written for them."""
    if bytes(content[:4]) != LOCAL or len(content) < 22:
        raise DataError(f"{path} is no bundle of mm.save: it does not begin as one")
    entries = _directory(path, content)
    _check_names(path, [name for name, _, _ in entries])
    found = {}
    for name, size, offset in entries:
        _check_size(name, size)
        start = offset + 30 + len(name)
        found[name] = content[start : start + size]
    members = {name: found[name] for name in CAPS if name in found}
    place = 0
    for piece in _pieces(members):
        if content[place : place + len(piece)] != piece:
            raise DataError(
                f"{path} is damaged, or was changed after it was saved: byte {place} or one of the "
                f"next {len(piece)} is not as mm.save writes it"
            )
        place += len(piece)
    if place != len(content):
        raise DataError(f"{path} has {len(content) - place} bytes too many")
    return members


def _directory(path: Path, content: memoryview) -> list[tuple[str, int, int]]:
    """Name, size and place of each member, as the end of the zip says."""
    entries = []
    try:
        count, place = struct.unpack("<10xH4xL2x", content[-22:])
        for _ in range(min(count, len(CAPS) + 1)):
            csize, length, extra, offset = struct.unpack(
                "<20xL4x2H10xL", content[place : place + 46]
            )
            title = bytes(content[place + 46 : place + 46 + length])
            entries.append((title.decode("ascii", "backslashreplace"), csize, offset))
            place += 46 + length + extra
    except struct.error:
        raise DataError(f"{path} is damaged: its directory leads nowhere") from None
    return entries


def _verified(path: Path, members: Mapping[str, memoryview]) -> Bundle:
    """The manifest by its own hash, then every member by the manifest."""
    if MANIFEST not in members:
        raise DataError(f"{path} is no bundle of mm.save: it has no {MANIFEST}")
    raw = bytes(members[MANIFEST])
    head, _, body = raw.partition(b"\n")
    found = HEAD.fullmatch(head)
    if found is None or hashlib.sha256(body).hexdigest().encode() != found[1]:
        raise DataError(f"{path} is damaged: {MANIFEST} is not as it was written")
    manifest = read_json(raw, f"{path}: {MANIFEST}")
    if manifest.get("format") != FORMAT:
        raise DataError(
            f"{path} has the format {manifest.get('format')!r}; this version of manumatic reads "
            f"{FORMAT}"
        )
    _check_members(path, manifest.get("members"), members)
    return Bundle(path, manifest, found[1].decode(), members)


def _check_members(path: Path, listed: Any, members: Mapping[str, memoryview]) -> None:
    there = [name for name in members if name != MANIFEST]
    if not isinstance(listed, dict) or sorted(listed) != sorted(there):
        raise DataError(f"{path} does not hold what its {MANIFEST} lists")
    for name in there:
        content, told = members[name], listed[name]
        true = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
        if told != true:
            raise DataError(f"{path} is damaged: {name} is not as it was written")
