"""Pictures for tests: as a phone makes them, as tools draw them, and as nobody should send them."""

import io
import random
import struct
import zlib

from PIL import Image

SECRET = "Asha's yard, gate code 4711"
"""Stands in every place of a picture where a text can stand."""


def colours(width: int, height: int) -> Image.Image:
    """Red on the left, blue on the right, a little green at the top: each turn of it looks different."""
    image = Image.new("RGB", (width, height), (200, 20, 20))
    image.paste((20, 20, 200), (width // 2, 0, width, height))
    image.paste((20, 200, 20), (0, 0, width, height // 4))
    return image


def noise(width: int, height: int, seed: int = 1) -> Image.Image:
    """Fine detail everywhere, as leaves and gravel have it."""
    return Image.frombytes("RGB", (width, height), random.Random(seed).randbytes(width * height * 3))


def exif(orientation: int = 1) -> Image.Exif:
    """What a phone writes: where it was, whose it is, how it was held."""
    found = Image.Exif()
    found[0x0112] = orientation
    found[0x010E] = found[0x013B] = SECRET
    degrees = (18.0, 31.0, 13.0)
    found.get_ifd(0x8825).update({1: "N", 2: degrees, 3: "E", 4: degrees, 29: SECRET})
    found.get_ifd(0x8769)[0x9286] = SECRET.encode()
    return found


def jpeg(image: Image.Image | None = None, *, orientation: int = 1) -> bytes:
    target = io.BytesIO()
    (image or colours(64, 48)).save(
        target, "JPEG", quality=95, exif=exif(orientation), comment=SECRET, xmp=f"<x>{SECRET}</x>".encode()
    )
    return target.getvalue()


def png(image: Image.Image | None = None) -> bytes:
    from PIL.PngImagePlugin import PngInfo

    said = PngInfo()
    said.add_text("Comment", SECRET)
    said.add_itxt("XML:com.adobe.xmp", f"<x>{SECRET}</x>", zip=True)
    target = io.BytesIO()
    (image or colours(64, 48)).save(target, "PNG", pnginfo=said, exif=exif())
    return target.getvalue()


def webp(image: Image.Image | None = None) -> bytes:
    target = io.BytesIO()
    (image or colours(64, 48)).save(target, "WEBP", exif=exif(), xmp=SECRET.encode())
    return target.getvalue()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_bomb(side: int = 60_000) -> bytes:
    """A few kilobytes that unpack to gigabytes of white."""
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(2_000_000), 9)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")


def text_bomb() -> bytes:
    """A small PNG whose comment unpacks to hundreds of megabytes."""
    body = b"Comment\x00\x00" + zlib.compress(bytes(300_000_000), 9)
    start, end = png()[:33], png()[33:]
    return start + _chunk(b"zTXt", body) + end


SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
HTML = b"<!doctype html><script>alert(1)</script>"
HEIC = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(200)
GIF = b"GIF89a" + bytes.fromhex("01000100800000ffffff0000002c00000000010001000002024401003b")


def polyglot() -> bytes:
    """A sound JPEG that is a web page with a script and a ZIP archive too."""
    return jpeg() + HTML + b"PK\x03\x04" + SECRET.encode()
