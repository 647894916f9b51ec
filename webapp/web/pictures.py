"""Uploaded pictures: recognised by their content, bounded before anything is decoded, and drawn anew.

Nothing of the uploaded file is kept but its pixels: what is stored was encoded here.
"""

import warnings
from io import BytesIO

from PIL import Image, ImageOps, UnidentifiedImageError

BYTES = 512 * 1024
SIDE = 2048  # pixels of the longer side: 16 MB once decoded, and a few times that while it is drawn
SIZE = 128  # pixels of the square that is kept
CONTENT_TYPE = "image/webp"

# Beside the formats that people have icons in Pillow reads sixty others, each with a decoder that may have holes.
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
# Pillow's own check, which looks at each frame, too. It warns above this number and refuses above twice that.
Image.MAX_IMAGE_PIXELS = SIDE * SIDE
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)

_TOO_LARGE = f"This picture has more than {SIDE:,} pixels on a side. Make it smaller and upload it again."


class BadPicture(Exception):
    """Not a picture that we take; `str(error)` is a sentence for people."""


def square(body: bytes) -> bytes:
    """The picture as a square of SIZE pixels in WebP, whole and centred, without any metadata. Raises BadPicture.

    Of an animated picture the first frame. Takes some 100 ms: never call it inside a write transaction.
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
    return image.convert("RGB").convert("RGBA")  # CMYK and the like have no direct way
