"""Uploaded pictures: what is taken, what is refused with which sentence, and that only pixels are kept."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from PIL import Image, ImageFile, PngImagePlugin

from webapp.web import pictures

GRADIENT = Image.linear_gradient("L").resize((300, 200)).convert("RGB")
RED, BLUE = (255, 0, 0), (0, 0, 255)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    body = io.BytesIO()
    image.save(body, kind, **options)
    return body.getvalue()


def drawn(body: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(pictures.square(body)))
    assert (image.format, image.size, image.n_frames) == ("WEBP", (128, 128), 1)
    assert not {"exif", "icc_profile", "xmp", "comment"} & set(image.info)
    return image.convert("RGBA")


def sentence(body: bytes) -> str:
    with pytest.raises(pictures.BadPicture) as refused:
        pictures.square(body)
    return str(refused.value)


def png_of_size(width: int, height: int) -> bytes:
    """Its header says so; no more than a few bytes follow."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_each_format_becomes_a_square_of_one_size(kind):
    assert drawn(encoded(GRADIENT, kind)).getpixel((64, 64))[3] == 255


def test_a_wide_picture_is_shown_whole_between_transparent_bands():
    image = drawn(encoded(Image.new("RGB", (300, 150), RED), "PNG"))
    assert image.getpixel((64, 20))[3] == 0 and image.getpixel((64, 110))[3] == 0
    assert image.getpixel((1, 64)) == image.getpixel((126, 64)) == (255, 0, 0, 255)


def test_colours_of_print_and_grey_are_turned_into_those_of_screens():
    for mode, colour in (("CMYK", (0, 255, 255, 0)), ("L", 76), ("1", 1)):
        kind = "JPEG" if mode == "CMYK" else "PNG"
        red, green, blue, alpha = drawn(encoded(Image.new(mode, (60, 60), colour), kind)).getpixel((64, 64))
        assert alpha == 255
        assert (red > 200 and green < 60) if mode == "CMYK" else red == green == blue


def test_a_palette_keeps_what_is_transparent():
    image = Image.new("P", (64, 64), 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.paste(0, (0, 0, 32, 64))
    for kind in ("PNG", "GIF"):
        square = drawn(encoded(image, kind, transparency=0))
        assert square.getpixel((10, 64))[3] == 0
        assert square.getpixel((120, 64)) == (0, 0, 255, 255)


def test_a_photo_that_lies_on_its_side_is_set_upright():
    image = Image.new("RGB", (100, 100), RED)
    image.paste(BLUE, (0, 0, 100, 20))  # the top of the sensor, which the camera says is the right
    exif = Image.Exif()
    exif[0x0112] = 6
    square = drawn(encoded(image, "JPEG", exif=exif, quality=95))
    assert square.getpixel((120, 64))[2] > 200 and square.getpixel((10, 64))[0] > 200


def test_of_an_animated_picture_the_first_frame_is_kept():
    frames = [Image.new("RGB", (40, 40), colour) for colour in (RED, BLUE)]
    for kind in ("GIF", "WEBP", "PNG"):
        square = drawn(encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=100))
        assert square.getpixel((64, 64))[0] > 200


def test_nothing_but_pixels_is_kept():
    exif = Image.Exif()
    exif[0x010E] = "SECRET PLACE"
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "SECRET PLACE")
    for body in (
        encoded(GRADIENT, "JPEG", exif=exif, comment=b"SECRET PLACE", icc_profile=b"SECRET PLACE"),
        encoded(GRADIENT, "PNG", pnginfo=text, exif=exif),
        encoded(GRADIENT, "WEBP", exif=exif, xmp=b"SECRET PLACE"),
    ):
        assert b"SECRET PLACE" in body
        assert b"SECRET PLACE" not in pictures.square(body)
        drawn(body)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF"])
@pytest.mark.parametrize(
    "tail", [b"<html><script>alert(1)</script></html>", b"PK\x03\x04 META-INF/MANIFEST.MF PK\x05\x06"]
)
def test_what_is_another_kind_of_file_too_comes_out_as_a_picture_only(kind, tail):
    kept = pictures.square(encoded(GRADIENT, kind) + tail)
    assert tail not in kept and kept[:4] == b"RIFF" and kept[8:12] == b"WEBP"
    assert len(kept) == 8 + struct.unpack("<I", kept[4:8])[0], "something hangs behind the picture"


def test_a_page_inside_of_a_pictures_comment_does_not_come_along():
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "<script>alert(1)</script>")
    assert b"script" not in pictures.square(encoded(GRADIENT, "PNG", pnginfo=text))


@pytest.mark.parametrize(
    "body",
    [
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        b"<html><script>alert(1)</script></html>",
        b"GIF89a/*",
        b"%PDF-1.7",
        b"\0" * 100,
        encoded(GRADIENT, "BMP"),
        encoded(GRADIENT, "TIFF"),
        encoded(GRADIENT, "ICO"),
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
    ],
)
def test_anything_else_is_refused_whatever_it_calls_itself(body):
    assert sentence(body) in (
        "This file is not a supported image. Upload a PNG, JPEG, WebP or GIF.",
        "This image is damaged or incomplete. Export it again and upload the new file.",
    )


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
@pytest.mark.parametrize("part", [0.02, 0.3, 0.9])
def test_a_file_that_is_cut_off_is_refused(kind, part):
    body = encoded(Image.effect_noise((200, 200), 60).convert("RGB"), kind)
    said = sentence(body[: int(len(body) * part)])
    assert said.startswith(("This image is damaged or incomplete.", "This file is not a supported image."))


def test_nothing_and_too_much_are_refused():
    assert sentence(b"") == "Choose a file."
    assert sentence(encoded(GRADIENT, "PNG") + b"\0" * pictures.BYTES).startswith("A picture can have up to 512 kB.")


def test_a_picture_that_would_unfold_is_refused_by_its_header(monkeypatch):
    lying_gif = bytearray(encoded(Image.new("P", (20, 20)), "GIF"))
    lying_gif[6:10] = struct.pack("<HH", 60_000, 60_000)
    lying_webp = bytearray(encoded(Image.new("RGB", (20, 20)), "WEBP", lossless=True))
    lying_webp[21:25] = struct.pack("<I", 16383 | 16383 << 14)
    lying_jpeg = bytearray(encoded(GRADIENT, "JPEG"))
    at = lying_jpeg.index(b"\xff\xc0")
    lying_jpeg[at + 5 : at + 9] = struct.pack(">HH", 65_000, 65_000)
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda *_: pytest.fail("it was decoded"))
    for body in (
        png_of_size(100_000, 100_000), png_of_size(2049, 1), png_of_size(3000, 3000), bytes(lying_gif),
        bytes(lying_webp), bytes(lying_jpeg),
    ):  # fmt: skip
        assert (
            sentence(body) == "This picture has more than 2,048 pixels on a side. Make it smaller and upload it again."
        )


def test_text_that_unfolds_is_refused_too():
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "a" * 5_000_000, zip=True)
    body = encoded(GRADIENT, "PNG", pnginfo=text)
    assert len(body) < pictures.BYTES
    assert sentence(body).startswith("This image is damaged")
