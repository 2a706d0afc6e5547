"""Files of an import: a tar, plain or compressed."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import tempfile
from pathlib import Path
from typing import IO, cast

from dreamlab.data.imageset import DataError
from dreamlab.data.importing.files import CHUNK, IN_ARCHIVE, Files, plain, refused_member
from dreamlab.data.importing.limits import Limits
from dreamlab.data.importing.pictures import Unusable

ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")


def is_tar(file: Path) -> bool:
    """Whether the name of a file is that of a tar."""
    return file.name.lower().endswith(ENDINGS)


class TarFiles(Files):
    """The files inside a tar. A compressed one is unpacked to a temporary file first, because its
    members can be read in one order only; the unpacked bytes are limited as those of a ZIP. Raises
    DataError if the file cannot be used."""

    def __init__(self, file: Path, limits: Limits):
        name = file.name
        ending = next((e for e in sorted(ENDINGS, key=len)[::-1] if name.lower().endswith(e)), "")
        super().__init__(name[: len(name) - len(ending)], limits)
        self._members: dict[str, tarfile.TarInfo] = {}
        self._file: IO[bytes] | None = None
        self.size = file.stat().st_size
        try:
            self._file = self._plain(file)
            self._tar = tarfile.open(fileobj=self._file, mode="r:")
            self._list()
        except DataError:
            self.close()
            raise
        except (OSError, EOFError, ValueError, tarfile.TarError) as error:
            self.close()
            raise DataError(f"{name} cannot be read as a tar: {error}; create it again.") from None
        packed = set(self.packed)
        self.names = [name for name in self._members if name not in packed]

    def _plain(self, file: Path) -> IO[bytes]:
        """The uncompressed tar."""
        opened = _decompressed(file)
        if opened is None:
            return open(file, "rb")
        out, size, done = tempfile.TemporaryFile(), file.stat().st_size, 0
        with opened:
            while chunk := opened.read(CHUNK):
                done += len(chunk)
                self.limits.check_unpacked(done, size)
                out.write(chunk)
        out.seek(0)
        return out

    def _list(self) -> None:
        for count, info in enumerate(self._tar):
            self.limits.check_zip(count + 1)
            name = plain(info.name.removeprefix("./"))
            reason = refused_member(name, info.issym() or info.islnk())
            if not reason and not (info.isreg() or info.isdir()):
                reason = "no regular file"
            if not reason and name in self._members:
                reason = "name given twice"
            if reason == IN_ARCHIVE:
                self.packed.append(name)
                self._members[name] = info
            if reason:
                self.left.add(name, reason)
            elif info.isdir():
                self.folders.append(name.rstrip("/"))
            else:
                self._members[name] = info
        self._check_end()

    def _check_end(self) -> None:
        """Raises DataError if the file ends before a header that marks the end, as one that was cut
        off does; reading its members alone would not notice."""
        file = self._file
        assert file is not None
        file.seek(self._tar.offset)
        if len(file.read(tarfile.BLOCKSIZE)) < tarfile.BLOCKSIZE:
            raise DataError(
                f"{self.title} ends without the end mark of a tar, so files may be missing: copy or"
                " create it again."
            )

    def stream(self, name: str) -> IO[bytes]:
        """See `Files.stream`."""
        member = self._tar.extractfile(self._members[name])
        assert member is not None  # only regular files are members
        return member

    def read(self, name: str) -> bytes:
        """See `Files.read`."""
        try:
            member = self._tar.extractfile(self._members[name])
            data = member.read(self.limits.file_bytes + 1) if member else b""
        except (OSError, EOFError, ValueError, tarfile.TarError):
            raise Unusable("damaged") from None
        if reason := self.limits.refused_file(data):
            raise Unusable(reason)
        if len(data) < self._members[name].size:
            raise Unusable("damaged")
        return data

    def close(self) -> None:
        """See `Files.close`."""
        if self._file is not None:
            self._file.close()


def _decompressed(file: Path) -> IO[bytes] | None:
    """The content of a compressed file, None if it is not compressed."""
    with open(file, "rb") as head:
        start = head.read(6)
    for magic, opener in ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ", lzma.open)):
        if start.startswith(magic):
            return cast(IO[bytes], opener(file, "rb"))
    return None
