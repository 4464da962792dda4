"""Find out from a file's own length fields whether its end is missing, before anything is decoded.

MP4/MOV (ISO 14496-12 section 4.2), Matroska/WebM (RFC 8794, the Segment's size) and AVI (RIFF) say how long they are.
MPEG-TS and raw streams do not: a recorder may stop at any packet, and such a file is whole.
"""

from __future__ import annotations

from typing import BinaryIO

#: Boxes an MP4 or QuickTime file may begin with.
_FIRST_BOXES = frozenset((b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp", b"moof"))
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"


def what_is_missing(file: BinaryIO, size_bytes: int) -> str | None:
    """Return in words what a video file lacks, or None when its length fields agree with its size (or there are none).

    `file` is open for reading, `size_bytes` its size.
    """
    head = _read_at(file, 0, 12)
    if head[4:8] in _FIRST_BOXES:
        return _mp4(file, size_bytes)
    if head[:4] == _EBML:
        return _matroska(file, size_bytes)
    if head[:4] == b"RIFF" and len(head) >= 8:
        return _short(8 + int.from_bytes(head[4:8], "little"), size_bytes)
    return None


def _short(need_bytes: int, size_bytes: int) -> str | None:
    return (
        f"{need_bytes - size_bytes} of {need_bytes} bytes are missing at its end" if need_bytes > size_bytes else None
    )


def _read_at(file: BinaryIO, offset: int, count: int) -> bytes:
    file.seek(offset)
    return file.read(count)


def _mp4(file: BinaryIO, size_bytes: int) -> str | None:
    offset, has_index = 0, False
    while offset + 8 <= size_bytes:
        head = _read_at(file, offset, 16)
        length, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        elif length == 0:  # to the end of the file
            length = size_bytes - offset
        if length < 8 or not kind.isascii():
            break  # bytes behind the last box: players read such files, so they are whole
        has_index |= kind == b"moov"
        offset += length
        if offset > size_bytes and kind in (b"ftyp", b"moov", b"mdat", b"moof"):
            return _short(offset, size_bytes)
    return None if has_index else "its index (box 'moov') is missing: the recording was not finished"


def _matroska(file: BinaryIO, size_bytes: int) -> str | None:
    # Four bytes of EBML id, the header's length, the header, then the Segment: id and length again.
    length, width = _vint(_read_at(file, 4, 8))
    segment = 4 + width + (length or 0)
    head = _read_at(file, segment, 12)
    if len(head) < 12 or head[:4] != _SEGMENT:
        return "its first segment is missing"
    length, width = _vint(head[4:])
    return None if length is None else _short(segment + 4 + width + length, size_bytes)


def _vint(data: bytes) -> tuple[int | None, int]:
    """Return a variable-size integer (None: unknown, as live recorders write) and how many bytes it took."""
    width = 9 - data[0].bit_length() if data and data[0] else 8
    value = int.from_bytes(data[:width], "big") & ((1 << (7 * width)) - 1)
    return (None if value == (1 << (7 * width)) - 1 else value), width
