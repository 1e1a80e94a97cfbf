"""Look at the first bytes of a file: what it is, whether it may be read, how large it claims to be.

Done before any decoder runs, so that a wrong file gets a plain sentence and a false header gets
no memory.
"""

from __future__ import annotations

import codecs
import struct
from pathlib import Path

from ushape.errors import DataError

MAX_PIXELS = 2**31
"""Larger pictures are refused: they would not fit into the memory of any usual machine."""

FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}

_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"GIF8", "GIF"),
    (b"RIFF", "WebP"),
    (b"\x93NUMPY", "NumPy"),
    (b"%PDF", "PDF"),
    (b"PK\x03\x04", "ZIP"),
    (b"\x1f\x8b", "gzip"),
)
_HEAD_BYTES = 512
_MAX_DEFLATE_RATIO = 1032  # the format's own bound: 258 bytes out of 2 bits
_PNG_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def unreadable(path: Path, what: str, remedy: str) -> DataError:
    """Phrase why a file cannot be read and what to do, in one line."""
    return DataError(" ".join(f"cannot read {path}: {what}; {remedy}".splitlines()))


def sniff(path: Path) -> str:
    """Tell the format of a picture file from its content.

    Returns:
        "PNG", "JPEG", "BMP" or "TIFF".

    Raises:
        DataError: There is no such file, it may not be read, it is empty, it is no picture, its
            name says something else than its content, or its header claims an impossible size.
    """
    head = _head(path)
    found = next((name for mark, name in _SIGNATURES if head.startswith(mark)), None)
    expected = FORMATS.get(path.suffix.lower())
    if found not in FORMATS.values():
        what = f"a {found} file" if found else "plain text" if _is_text(head) else "no picture"
        raise unreadable(path, f"it holds {what}", "give PNG, JPEG, BMP or TIFF")
    if found != expected:
        right = next(suffix for suffix, name in FORMATS.items() if name == found)
        named = f"its name ends in {path.suffix}" if path.suffix else "its name has no ending"
        raise unreadable(path, f"it is a {found} picture but {named}", f"rename it to *{right}")
    if found == "PNG":
        _check_png(path, head)
    return str(found)


def check_pixels(path: Path, num_pixels: int) -> None:
    """Refuse a picture that claims more pixels than any machine holds."""
    if num_pixels > MAX_PIXELS:
        raise unreadable(
            path,
            f"its header claims {num_pixels:,} pixels (allowed: {MAX_PIXELS:,})",
            "the file is damaged, or has to be cut into parts",
        )


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except FileNotFoundError as error:
        raise unreadable(path, "there is no such file", "check the name") from error
    except IsADirectoryError as error:
        raise unreadable(path, "it is a folder", "give a picture file") from error
    except PermissionError as error:
        raise unreadable(
            path, "no permission to read it", f"allow it with chmod u+r {path.name}"
        ) from error
    except OSError as error:
        raise unreadable(path, error.strerror or str(error), "check the disk") from error
    if not head:
        raise unreadable(path, "the file is empty (0 bytes)", "copy it again or remove it")
    return head


def _is_text(head: bytes) -> bool:
    try:  # the incremental decoder lets the last letter be cut off
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return all(letter.isprintable() or letter.isspace() for letter in text)


def _check_png(path: Path, head: bytes) -> None:
    if len(head) < 29 or head[12:16] != b"IHDR":
        raise unreadable(path, "the PNG header is cut off", "copy it again or remove it")
    width, height, bit_depth, color_type = struct.unpack(">IIBB", head[16:26])
    check_pixels(path, width * height)
    num_samples = _PNG_SAMPLES.get(color_type, 1)
    if bit_depth == 16 and num_samples > 1:
        raise unreadable(path, "16-bit colour PNG would lose 8 bits", "save it as TIFF")
    num_bytes = height * (width * num_samples * bit_depth // 8)
    if num_bytes > _MAX_DEFLATE_RATIO * path.stat().st_size:
        raise unreadable(
            path,
            f"its header claims {width} x {height} pixels, more than the file can hold",
            "it is truncated or damaged: copy it again or remove it",
        )
