"""Reading rows out of files as they are published, and as they arrive damaged."""

import gzip
import zipfile

import pytest

from app.errors import Invalid
from seeds.importers.reading import MAX_LINE_BYTES, Refused, Row, Source

COLUMNS = ("ID", "TEXT")


def read(path, start=0):
    with Source(path, COLUMNS) as source:
        return list(source.rows(start))


def packed(path, content: bytes, kind: str):
    path = path.with_name(path.name + kind)
    match kind:
        case ".gz":
            path.write_bytes(gzip.compress(content))
        case ".zip":
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("FLAT.txt", content)
        case _:
            path.write_bytes(content)
    return path


@pytest.mark.parametrize("kind", ["", ".gz", ".zip"])
def test_both_formats_in_every_packing(tmp_path, kind):
    flat = packed(tmp_path / "flat.txt", b"1\tone\r\n\r\n2\ttwo\tmore than is named\r\n3\n", kind)
    assert read(flat) == [
        Row(0, {"ID": "1", "TEXT": "one"}),
        Row(2, {"ID": "2", "TEXT": "two"}),
        Row(3, {"ID": "3"}),
    ]
    lines = packed(tmp_path / "rows.jsonl", b'{"id": 1}\n{"id": \n[2]\n{"id": 3}', kind)
    rows = read(lines)
    assert [row.number for row in rows] == [0, 1, 2, 3]
    assert [type(row) for row in rows] == [Row, Refused, Refused, Row]
    assert "not JSON" in rows[1].reason
    assert read(lines, start=2) == rows[2:]


def test_encodings_are_told_line_by_line(tmp_path):
    path = tmp_path / "flat.txt"
    path.write_bytes("1\tSpannung über 60 °C\n".encode() + "2\tdealer’s über\n".encode("cp1252") + b"3\t\x81\n")
    assert [row.fields["TEXT"] for row in read(path)] == ["Spannung über 60 °C", "dealer’s über", "\ufffd"]


def test_a_line_without_end_is_refused_and_passed_over(tmp_path):
    path = tmp_path / "flat.txt"
    path.write_bytes(b"1\tone\n2\t" + b"x" * (3 * MAX_LINE_BYTES) + b"\n3\tthree\n")
    rows = read(path)
    assert [row.number for row in rows] == [0, 1, 2]
    assert isinstance(rows[1], Refused)
    assert rows[2] == Row(2, {"ID": "3", "TEXT": "three"})


def test_a_damaged_archive_says_so_after_what_was_good(tmp_path):
    content = "".join(f"{n}\t{n * 7919 % 10007}\n" for n in range(20_000)).encode()
    path = packed(tmp_path / "flat.txt", content, ".gz")
    path.write_bytes(path.read_bytes()[:-20_000])
    good = []
    with Source(path, COLUMNS) as source, pytest.raises(Invalid, match="damaged"):
        good.extend(source.rows())
    assert len(good) > 100


@pytest.mark.parametrize("kind", [".gz", ".zip"])
def test_what_only_calls_itself_an_archive_is_refused(tmp_path, kind):
    path = tmp_path / f"flat.txt{kind}"
    path.write_bytes(b"1\tone\n")
    with pytest.raises(Invalid, match="cannot be read"):
        read(path)


def test_an_archive_of_several_files_is_refused(tmp_path):
    path = tmp_path / "two.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "1")
        archive.writestr("b.txt", "2")
    with pytest.raises(Invalid, match="2 files"):
        read(path)


def test_an_empty_file_holds_no_rows(tmp_path):
    (tmp_path / "empty.txt").write_bytes(b"")
    assert read(tmp_path / "empty.txt") == []


def test_fingerprint_and_position(tmp_path):
    path = packed(tmp_path / "flat.txt", b"1\tone\n" * 50_000, ".gz")
    with Source(path, COLUMNS) as source:
        before, first = source.position, source.fingerprint()
        for _ in source.rows():
            pass
        assert before <= source.position == source.size
    path.write_bytes(gzip.compress(b"1\ttwo\n" * 50_000))
    with Source(path, COLUMNS) as source:
        assert source.fingerprint() != first
