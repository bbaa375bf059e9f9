"""Rows of a published file, one at a time: JSON lines or tab-delimited, plain, in gzip or in a ZIP archive."""

import gzip
import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from app.errors import Invalid

MAX_LINE_BYTES = 1_000_000
"""Longer lines are no rows of these formats; they are skipped without being held in memory."""
_FINGERPRINTED_BYTES = 1_000_000
_EXCERPT = 120


@dataclass(frozen=True, slots=True)
class Row:
    """A row that could be read. `number` counts lines from 0; `fields` are named as in the file's layout."""

    number: int
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Refused:
    """A row, or something made of rows, that cannot be imported, and why."""

    number: int
    reason: str
    excerpt: str = ""


class Source:
    """An input file, to be used as a context manager. `columns` names the fields of a tab-delimited line, in order.

    What is inside is told by its first byte: a JSON object starts with a brace, a published record with its number.
    Raises Invalid where the file cannot be opened or turns out to be damaged.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path = path
        self.columns = tuple(columns)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._file = self._stack.enter_context(self.path.open("rb"))
            self.size = self.path.stat().st_size
            self._lines = self._stack.enter_context(io.BufferedReader(self._content(), 1 << 16))  # type: ignore[arg-type]
            self._is_json = self._lines.peek(1)[:1] == b"{"
        except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            self._stack.close()
            raise Invalid(f"{self.path} cannot be read: {error}.") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def position(self) -> int:
        """Bytes of the file taken in so far, of `size`: how far reading has come."""
        return self._file.tell()

    def fingerprint(self) -> str:
        """Tells this file from another: its size and a hash of its beginning."""
        with self.path.open("rb") as file:
            start = file.read(_FINGERPRINTED_BYTES)
        return f"{self.size}:{hashlib.blake2b(start, digest_size=16).hexdigest()}"

    def rows(self, start: int = 0) -> Iterator[Row | Refused]:
        """The rows from number `start` on. Empty lines are passed over."""
        for number, line in enumerate(self._bounded_lines()):
            if number < start:
                continue
            if line is None:
                yield Refused(number, f"is longer than {MAX_LINE_BYTES} bytes")
            elif text := _decoded(line).strip("\r\n"):
                yield self._parsed(number, text)

    def _parsed(self, number: int, text: str) -> Row | Refused:
        if not self._is_json:
            values = text.split("\t")
            return Row(number, dict(zip(self.columns, values, strict=False)))
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError) as error:
            return Refused(number, f"is not JSON: {error}", text[:_EXCERPT])
        if not isinstance(fields, dict):
            return Refused(number, "is not a JSON object", text[:_EXCERPT])
        return Row(number, fields)

    def _content(self) -> BinaryIO:
        match self.path.suffix.lower():
            case ".gz":
                return self._stack.enter_context(gzip.GzipFile(fileobj=self._file))  # type: ignore[return-value]
            case ".zip":
                archive = self._stack.enter_context(zipfile.ZipFile(self._file))
                return self._stack.enter_context(archive.open(_only_member(archive)))  # type: ignore[return-value]
            case _:
                return self._file

    def _bounded_lines(self) -> Iterator[bytes | None]:
        """Lines as they stand; None for one that is too long."""
        try:
            while line := self._lines.readline(MAX_LINE_BYTES):
                if len(line) < MAX_LINE_BYTES or line.endswith(b"\n"):
                    yield line
                    continue
                while (rest := self._lines.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                    pass
                yield None
        except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise Invalid(f"{self.path} is damaged: {error}. What was read before is imported.") from None


def _only_member(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    files = [info for info in archive.infolist() if not info.is_dir()]
    if len(files) != 1:
        raise zipfile.BadZipFile(f"it holds {len(files)} files, not the one to import")
    return files[0]


def _decoded(line: bytes) -> str:
    """NHTSA's files are mostly ASCII, newer rows UTF-8 and older ones Windows-1252 (Latin-1 with typographic signs)."""
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("cp1252", errors="replace")
