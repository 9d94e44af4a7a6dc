"""Makes an RGB image out of an image file of any kind, as a person sees it."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

Encoded = str | bytes
"""An image file: its path, or its content."""

FAULTS = (OSError, ValueError, SyntaxError, EOFError, OverflowError, Image.DecompressionBombError)
"""What Pillow raises for files that it cannot read; it states no list."""

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"} | {".avif"}
)
"""The endings of image files, in lower case."""


ORIENTATION, ON_THEIR_SIDE = 0x0112, (5, 6, 7, 8)
"""EXIF's tag, and its values for images whose width and height change places."""


def is_image(path: Path) -> bool:
    """Whether a file is one, by its name."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def content(image: Encoded) -> bytes:
    """The bytes of the file."""
    return image if isinstance(image, bytes) else Path(image).read_bytes()


def decode(image: Encoded, shorter: int | None = None) -> Image.Image:
    """Decodes an image.

    It is turned as its EXIF says. Grey values become three equal channels, of 16 bits the upper eight. What is
    transparent stands before white. Of several frames the first is taken.

    Args:
        image: the file.
        shorter: where given, larger images are reduced to a shorter edge of this length in pixels, which is faster.

    Returns:
        An image in mode ``RGB``.

    Raises:
        OSError, ValueError and what else :data:`FAULTS` lists: it cannot be read.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd metadata, and images beyond 89 megapixels, which are read all the same
        with Image.open(io.BytesIO(image) if isinstance(image, bytes) else image) as opened:
            width, height = opened.size
            if opened.getexif().get(ORIENTATION) in ON_THEIR_SIDE:
                width, height = height, width
            if shorter is not None and min(width, height) > 2 * shorter:
                opened.draft("RGB", (2 * shorter, 2 * shorter))  # JPEG alone: at a half, a quarter or an eighth
            turned = ImageOps.exif_transpose(opened)
            plain = _rgb(turned)
    size = reduced_size((width, height), shorter)
    return plain if plain.size == size else plain.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)


def reduced_size(size: tuple[int, int], shorter: int | None) -> tuple[int, int]:
    """Width and height once the shorter edge is reduced to a length; smaller images stay."""
    if shorter is None or min(size) <= shorter:
        return size
    scale = shorter / min(size)
    return max(round(size[0] * scale), 1), max(round(size[1] * scale), 1)


def _rgb(image: Image.Image) -> Image.Image:
    """The image in mode ``RGB``. Raises ValueError for pixels without a scale."""
    if image.mode.startswith("I"):
        return _from_16_bits(image)
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers, whose range nobody knows")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, image).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _from_16_bits(image: Image.Image) -> Image.Image:
    """Grey values of 16 bits, of which the upper eight are kept. Raises ValueError for larger numbers."""
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise ValueError(f"its pixels go from {values.min()} to {values.max()}, which are more than 16 bits")
    return Image.fromarray((values >> 8).astype(np.uint8)).convert("RGB")
