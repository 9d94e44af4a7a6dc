"""The images of one split and their labels, as they were found; nothing is decoded yet."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from adapt_core.errors import AdaptError
from adapt_vision.data.decoding import Encoded

DATA_URI = "data:;base64,"
"""What stands before the content of an image in a row that must be JSON."""


@dataclass(frozen=True)
class Listing:
    """Images with their labels, in the order of the data.

    Attributes:
        source: the folder, the file, or the data set and split, for messages.
        images: paths, or contents that are read when they are asked for.
        names: what to call each image in a message: its path, or its row.
        labels: the name of each image's class.
        others: files beside them that are no images by their name.
    """

    source: str
    images: Sequence[Encoded]
    names: Sequence[str]
    labels: Sequence[str]
    others: int = 0

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: Sequence[int]) -> Listing:
        """These rows, in this order."""
        return Listing(
            self.source,
            Taken(self.images, rows),
            [self.names[row] for row in rows],
            [self.labels[row] for row in rows],
            self.others,
        )


class Taken(Sequence[Any]):
    """Some of the values of a sequence, each read when it is asked for."""

    def __init__(self, values: Sequence[Any], rows: Sequence[int]) -> None:
        self.values, self.rows = values, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        return self.values[self.rows[index]]


def to_row(image: Encoded) -> str:
    """An image in a row that must be JSON: its path, or its content as text."""
    return image if isinstance(image, str) else DATA_URI + base64.b64encode(image).decode()


def from_row(image: str) -> Encoded:
    """The inverse of :func:`to_row`. Raises AdaptError for text that is no content."""
    if not image.startswith(DATA_URI):
        return image
    try:
        return base64.b64decode(image.removeprefix(DATA_URI), validate=True)
    except binascii.Error as error:
        raise AdaptError(f"An image that begins with {DATA_URI!r} is not in base64: {error}.") from error
