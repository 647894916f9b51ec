"""Uploaded pictures: recognised by their content, limited in size before they are decoded, and encoded again.

Only the pixels of the uploaded file are kept: what is stored was encoded here.
"""

import warnings
from io import BytesIO

from flask import request
from PIL import Image, ImageOps, UnidentifiedImageError

from webapp.database.transactions import reading
from webapp.web.signin import recheck_right

BYTES = 512 * 1024
SIDE = 2048  # pixels of the longer side: 16 MB once decoded, and a few times that while it is drawn
SIZE = 128  # pixels of the square that is kept
CONTENT_TYPE = "image/webp"

# Pillow reads sixty more formats, each with a decoder that may have security holes.
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
CONTENT_TYPES = tuple(f"image/{one.lower()}" for one in _FORMATS)
# Pillow checks each frame, too. It warns above this number and refuses above twice that.
Image.MAX_IMAGE_PIXELS = SIDE * SIDE
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)

_TOO_LARGE = f"This picture has more than {SIDE:,} pixels on a side. Make it smaller and upload it again."


class BadPicture(Exception):
    """A picture that is refused; `str(error)` is a sentence for people."""


def uploaded() -> tuple[bytes, str]:
    """Return the picture of the form's field `picture` as `square` makes it, and why it was refused, or "".

    Decodes outside of the write transaction, so that no other writer waits for it, and checks the right again.
    """
    given = request.files.get("picture")
    picture, refusal = b"", ""
    with reading():
        try:
            picture = square(given.read(BYTES + 1) if given else b"")
        except BadPicture as error:
            refusal = str(error)
    recheck_right()
    return picture, refusal


def square(body: bytes) -> bytes:
    """Return the picture as a square of SIZE pixels in WebP, whole and centred, without metadata. Raises BadPicture.

    Of an animated picture it takes the first frame. Takes some 100 ms: never call it inside a write transaction.
    """
    if not body:
        raise BadPicture("Choose a file.")
    if len(body) > BYTES:
        raise BadPicture(f"A picture can have up to {BYTES // 1024} kB. Make it smaller and upload it again.")
    try:
        with Image.open(BytesIO(body), formats=_FORMATS) as opened:  # reads the header only
            if max(opened.size) > SIDE:
                raise BadPicture(_TOO_LARGE)
            upright = ImageOps.exif_transpose(opened)
            fitted = ImageOps.contain(_coloured(upright), (SIZE, SIZE), Image.Resampling.LANCZOS)
    except UnidentifiedImageError:
        raise BadPicture("This file is not a supported image. Upload a PNG, JPEG, WebP or GIF.") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BadPicture(_TOO_LARGE) from None
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, OverflowError, MemoryError):
        # What Pillow's decoders raise for files that are cut off or broken.
        raise BadPicture("This image is damaged or incomplete. Export it again and upload the new file.") from None
    drawn = Image.new("RGBA", (SIZE, SIZE))
    drawn.paste(fitted, ((SIZE - fitted.width) // 2, (SIZE - fitted.height) // 2))
    kept = BytesIO()
    drawn.save(kept, "WEBP", lossless=True)
    return kept.getvalue()


def _coloured(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        return image.convert("RGBA")
    return image.convert("RGB").convert("RGBA")  # CMYK and others cannot be converted directly
