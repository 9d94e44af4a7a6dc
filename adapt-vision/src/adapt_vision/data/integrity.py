"""Decodes every image once before training, so that none that cannot be read stops it later."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from PIL import Image, UnidentifiedImageError

from adapt_core.errors import AdaptError
from adapt_core.utils.units import listed
from adapt_vision.data.decoding import FAULTS, content, decode
from adapt_vision.data.listing import Listing

SHOWN = 20


@dataclass(frozen=True)
class ImageFile:
    """What a look at an image file found.

    Attributes:
        size: width and height, turned as the EXIF data says.
        sha256: of the file's content.
        form: its format and the kind of its pixels, as Pillow calls them: ``"JPEG, RGB"``.
    """

    size: tuple[int, int]
    sha256: str
    form: str = ""


def readable(listing: Listing, *, skip: bool) -> tuple[Listing, list[ImageFile], list[str]]:
    """The images of a listing that can be read, each decoded once.

    Args:
        listing: what is to be read.
        skip: leave out what cannot be read.

    Returns:
        The images, what was found of each, and which were left out, with the reason.

    Raises:
        AdaptError: some cannot be read, by name; or none can.
    """
    found = inspect(listing)
    good = [row for row, each in enumerate(found) if isinstance(each, ImageFile)]
    bad = [f"{name} ({each})" for name, each in zip(listing.names, found, strict=True) if isinstance(each, str)]
    if bad and not (skip and good):
        count = f"{len(bad)} of {len(found)} images"
        shown = "\n".join(f"  {each}" for each in bad[:SHOWN])
        more = f"\n  and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
        raise AdaptError(
            f"{listing.source}: {count} cannot be read:\n{shown}{more}",
            "Replace or remove these files, or leave them out with dataset.skip_unreadable=true."
            if good
            else "Is it a folder of images?",
        )
    kept = listing if not bad else listing.take(good)
    return kept, [each for each in found if isinstance(each, ImageFile)], bad


def inspect(listing: Listing) -> list[ImageFile | str]:
    """What was found of each image, or why it cannot be read."""

    def look(row: int) -> ImageFile | str:
        try:
            data = content(listing.images[row])
        except FAULTS as error:
            return f"{type(error).__name__}: {error}"
        return _look(data)

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow decodes outside Python's lock
        return list(pool.map(look, range(len(listing))))


def _look(data: bytes) -> ImageFile | str:
    if not data:
        return "the file is empty"
    try:
        image = decode(data)
    except UnidentifiedImageError:
        return "this is no image file that Pillow knows"
    except FAULTS as error:
        return str(error) or type(error).__name__
    with Image.open(io.BytesIO(data)) as opened:  # decoded above already: what it says of itself
        form = f"{opened.format}, {opened.mode}"
    return ImageFile(image.size, hashlib.sha256(data).hexdigest(), form)


def left_out(unreadable: Sequence[str]) -> str:
    """What a person should know of images that were left out."""
    count = len(unreadable)
    which = "1 image cannot be read and is" if count == 1 else f"{count} images cannot be read and are"
    return f"{which} left out: {listed(list(unreadable))}"
