"""Pictures: what they show stays, what they tell besides goes, and nothing hostile comes through."""

import contextlib
import io
import random

import pytest
from PIL import Image

from services.repairs import pictures
from services.repairs.pictures import NotAPicture, Rendered
from tests import pictures as samples

MAKERS = {"jpeg": samples.jpeg, "png": samples.png, "webp": samples.webp}


def rendered(content: bytes, **limits: int) -> Rendered:
    chosen = {"longest_side": 400, "max_pixels": 20_000_000, "max_bytes": 10_000_000} | limits
    return pictures.rendered(content, **chosen)


def opened(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


@pytest.mark.parametrize("kind", MAKERS)
def test_nothing_but_pixels_is_kept(kind: str):
    sent = MAKERS[kind]()
    assert samples.SECRET.encode() in sent or kind == "png"  # a PNG may hold it compressed
    assert opened(sent).getexif().get_ifd(0x8825)

    kept = rendered(sent)

    for content in (kept.content, kept.thumbnail):
        image = opened(content)
        assert samples.SECRET.encode() not in content
        assert not image.getexif()
        assert not {"exif", "comment", "xmp", "icc_profile", "Comment", "XML:com.adobe.xmp"} & image.info.keys()


def test_what_hangs_on_a_picture_is_cut_off():
    kept = rendered(samples.polyglot())
    assert b"script" not in kept.content
    assert b"PK\x03\x04" not in kept.content
    assert kept.content.endswith(b"\xff\xd9")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_is_turned_as_the_camera_was_held(orientation: int):
    upright = samples.colours(64, 48)
    held = upright
    for undone, turn in pictures.UPRIGHT.items():
        if undone == orientation:
            back = {Image.Transpose.ROTATE_90: Image.Transpose.ROTATE_270}
            back |= {there: here for here, there in back.items()}
            held = upright.transpose(back.get(turn, turn))

    kept = rendered(samples.jpeg(held, orientation=orientation))

    assert (kept.width, kept.height) == (64, 48)
    left, right, top = (opened(kept.content).getpixel(place) for place in ((4, 40), (60, 40), (32, 4)))
    assert left[0] > 150 > left[2]
    assert right[2] > 150 > right[0]
    assert top[1] > 150 > top[0]


def test_sides_are_bounded_and_never_stretched():
    kept = rendered(samples.jpeg(samples.colours(1600, 900)))
    assert (kept.width, kept.height) == (400, 225)
    assert opened(kept.thumbnail).size == (320, 180)
    small = rendered(samples.jpeg(samples.colours(30, 20)))
    assert (small.width, small.height, opened(small.thumbnail).size) == (30, 20, (30, 20))
    thin = rendered(samples.png(samples.colours(5000, 1)))
    assert (thin.width, thin.height) == (400, 1)


def test_drawings_stay_without_loss_unless_they_grow_too_large():
    drawing = samples.png(samples.noise(200, 200))
    kept = rendered(drawing)
    assert kept.media_type == "image/png"
    assert opened(kept.content).tobytes() == opened(drawing).tobytes()
    assert rendered(drawing, max_bytes=50_000).media_type == "image/jpeg"
    assert rendered(samples.webp()).media_type == "image/jpeg"


@pytest.mark.parametrize(
    ("image", "shown"),
    [
        (Image.new("RGBA", (8, 8), (0, 0, 0, 0)), (255, 255, 255)),
        (Image.new("LA", (8, 8), (0, 0)), (255, 255, 255)),
        (Image.new("L", (8, 8), 100), (100, 100, 100)),
        (Image.new("1", (8, 8), 1), (255, 255, 255)),
        (Image.new("I;16", (8, 8), 40_000), (156, 156, 156)),
        (Image.new("RGB", (8, 8), (1, 2, 3)).quantize(4), (1, 2, 3)),
    ],
    ids=lambda value: getattr(value, "mode", ""),
)
def test_every_kind_of_pixel_is_shown(image: Image.Image, shown: tuple[int, int, int]):
    target = io.BytesIO()
    image.save(target, "PNG")
    assert opened(rendered(target.getvalue()).content).getpixel((4, 4)) == shown


def test_prints_in_four_colours_are_read():
    target = io.BytesIO()
    Image.new("CMYK", (32, 32), (0, 255, 255, 0)).save(target, "JPEG")
    red, green, _ = opened(rendered(target.getvalue()).content).getpixel((9, 9))
    assert red > 150 > green


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\x00", "is not a picture"),
        (b"plain text", "is not a picture"),
        (samples.SVG, "is not a picture"),
        (samples.HTML, "is not a picture"),
        (samples.GIF, "is not a picture"),
        (samples.HEIC, "HEIC"),
        (b"%PDF-1.7\n" + samples.jpeg(), "is not a picture"),
        (samples.jpeg()[:-200], "is damaged or not complete"),
        (samples.jpeg()[:20], "is damaged or not complete"),
        (samples.png()[:-300], "is damaged or not complete"),
        (samples.webp()[:100], "is damaged or not complete"),
        (samples.png_bomb(), "60000 × 60000 pixels"),
        (samples.text_bomb(), "is damaged or not complete"),
    ],
    ids=lambda value: value if isinstance(value, str) else len(value),
)
def test_refuses_what_is_no_sound_picture(content: bytes, said: str):
    with pytest.raises(NotAPicture) as caught:
        rendered(content)
    assert said in caught.value.detail
    assert caught.value.extra["errors"][0]["field"] == "file"


@pytest.mark.filterwarnings("ignore::UserWarning")  # decoders mention what is odd
@pytest.mark.parametrize("kind", MAKERS)
def test_damage_anywhere_is_refused_or_survived(kind: str):
    """A thousand broken files: none raises anything but the refusal."""
    chance = random.Random(7)
    whole = MAKERS[kind]()
    survived = 0
    for _ in range(330):
        broken = bytearray(whole)
        for _ in range(chance.randint(1, 6)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        with contextlib.suppress(NotAPicture):
            survived += bool(rendered(bytes(broken)).content)
    assert 0 < survived < 330
