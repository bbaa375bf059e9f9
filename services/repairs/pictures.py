"""Pictures as people send them, made into pictures that may be kept: pure, and slow enough to need a thread."""

import io
import struct
import zlib
from dataclasses import dataclass, field

from PIL import ExifTags, Image

from app.errors import Invalid
from models.photo import PictureType

FORMATS = ("JPEG", "PNG", "WEBP")
"""What is decoded, whatever a file is called. Each further decoder is a further way in for hostile files."""
READABLE = "JPEG, PNG and WebP can be read"
THUMBNAIL_PX = 320
QUALITY, THUMBNAIL_QUALITY = 85, 75
WHITE = (255, 255, 255)

UNREADABLE = (
    OSError, SyntaxError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError, EOFError,
    NotImplementedError, struct.error, zlib.error,
)  # fmt: skip
"""What decoders raise when a file is damaged, or built to look so."""

UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes each orientation of the camera (EXIF 2.3, tag 0x0112)."""

# The size is judged below, before anything is decoded, by our own limit.
Image.MAX_IMAGE_PIXELS = None


class NotAPicture(Invalid):
    """Cannot be read as a picture, or is one that we do not read."""

    def __init__(self, rule: str) -> None:
        super().__init__(f"file: {rule}", errors=[{"field": "file", "rule": rule}])


@dataclass(frozen=True, slots=True)
class Rendered:
    """`content` and `thumbnail` hold pixels and nothing else: no place, no camera, no comment, no second picture."""

    content: bytes = field(repr=False)
    media_type: PictureType
    width: int
    height: int
    thumbnail: bytes = field(repr=False)


def rendered(content: bytes, *, longest_side: int, max_pixels: int, max_bytes: int) -> Rendered:
    """Decode a picture, turn it upright, shrink it to `longest_side` pixels and encode it anew.

    A PNG (drawn or captured from a screen) stays one unless it would then exceed `max_bytes`; all else becomes JPEG.
    Colours are taken for sRGB, of moving pictures the first is kept. Raises NotAPicture.
    """
    if not content:
        raise NotAPicture("is empty")
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if image.width * image.height > max_pixels:
                size = f"{image.width} × {image.height}"
                raise NotAPicture(f"has {size} pixels; {max_pixels // 1_000_000} million are taken")
            keeps_lines = image.format == "PNG"
            picture = _upright(image, longest_side)
    except UNREADABLE:
        raise NotAPicture(_complaint(content)) from None
    encoded, media_type = _encoded(picture, lossless=keeps_lines, max_bytes=max_bytes)
    small = picture.copy()
    small.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    return Rendered(encoded, media_type, *picture.size, _jpeg(small, THUMBNAIL_QUALITY))


def _upright(image: Image.Image, longest_side: int) -> Image.Image:
    """The pixels alone, as the camera was held."""
    box = (longest_side, longest_side)
    if image.mode == "RGB":
        image.thumbnail(box, Image.Resampling.LANCZOS)  # a JPEG is decoded at a fraction of its size and cost
    picture = _opaque(image)
    picture.thumbnail(box, Image.Resampling.LANCZOS)
    orientation = _orientation(image)  # a PNG may tell it after its pixels
    if orientation in UPRIGHT:
        picture = picture.transpose(UPRIGHT[orientation])
    picture.info.clear()  # encoders write comments and profiles that they find there
    return picture


def _orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(ExifTags.Base.Orientation, 1)
    except UNREADABLE:
        return 1  # the pixels may be sound all the same


def _opaque(image: Image.Image) -> Image.Image:
    """As RGB, on white where it is transparent."""
    if image.mode.startswith("I"):  # 16 bits of grey
        return image.convert("I").point(lambda value: value * (1 / 256)).convert("L").convert("RGB")
    if image.has_transparency_data:
        layered = image if image.mode == "RGBA" else image.convert("RGBA")
        ground = Image.new("RGB", layered.size, WHITE)
        ground.paste(layered, mask=layered.getchannel("A"))
        return ground
    return image.convert("RGB")


def _encoded(picture: Image.Image, *, lossless: bool, max_bytes: int) -> tuple[bytes, PictureType]:
    if lossless:
        target = io.BytesIO()
        picture.save(target, "PNG")
        if target.tell() <= max_bytes:
            return target.getvalue(), "image/png"
    return _jpeg(picture, QUALITY), "image/jpeg"


def _jpeg(picture: Image.Image, quality: int) -> bytes:
    target = io.BytesIO()
    picture.save(target, "JPEG", quality=quality)
    return target.getvalue()


def _complaint(content: bytes) -> str:
    """What is wrong with what could not be read."""
    if content[4:8] == b"ftyp" and content[8:12] in (b"heic", b"heix", b"mif1", b"msf1", b"avif"):
        return f"is a HEIC or AVIF picture; {READABLE}"
    if content.startswith((b"\xff\xd8\xff", b"\x89PNG", b"RIFF")):
        return "is damaged or not complete"
    return f"is not a picture; {READABLE}"
