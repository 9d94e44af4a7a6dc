"""Reads images for a model, and keeps the decoded ones where they fit into memory."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from adapt_core.errors import AdaptError
from adapt_core.utils.memory import free_memory
from adapt_core.utils.units import bytes_text
from adapt_vision.data.decoding import FAULTS, Encoded, decode, reduced_size

SHARE = 0.25
"""The part of the free memory that decoded images may take."""


class ImageReader:
    """Decodes images, at most once each where all of them fit into memory.

    The decoded images lie in memory that the processes which load data share: whichever needs an image first decodes
    it for all. A process that is not forked from this one has no part in it, and decodes for itself.

    Args:
        images: the files.
        names: what to call each in a message.
        sizes: width and height of each, as it is decoded.
        shorter: reduce larger images to a shorter edge of this length.
        cached: keep the decoded images.
        promised: bytes that another reader will take.
    """

    def __init__(
        self,
        images: Sequence[Encoded],
        names: Sequence[str],
        sizes: Sequence[tuple[int, int]],
        *,
        shorter: int | None = None,
        cached: bool = True,
        promised: int = 0,
    ) -> None:
        self.images, self.names, self.shorter = images, names, shorter
        self.sizes = [reduced_size(size, shorter) for size in sizes]
        self.bytes = sum(width * height * 3 for width, height in self.sizes)
        self.cached = cached and self.bytes + promised <= SHARE * free_memory()
        self._pixels: Any = None
        if self.cached and self.bytes:
            ends = np.cumsum([width * height * 3 for width, height in self.sizes])
            self._starts = np.concatenate([[0], ends])
            # Anonymous, and shared with forked processes; unlike /dev/shm, containers do not limit it.
            self._pixels = np.frombuffer(mmap.mmap(-1, self.bytes), dtype=np.uint8)
            self._there = np.frombuffer(mmap.mmap(-1, len(self.sizes)), dtype=np.uint8)

    def __getstate__(self) -> dict[str, Any]:
        """Without the decoded images, for a process that shares no memory."""
        return {**self.__dict__, "_pixels": None, "_there": None}

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> Image.Image:
        """An image in mode ``RGB``. Raises AdaptError where it can no longer be read."""
        if self._pixels is None:
            return self._decoded(row)
        width, height = self.sizes[row]
        place = self._pixels[self._starts[row] : self._starts[row + 1]].reshape(height, width, 3)
        if self._there[row]:
            return Image.fromarray(place)
        image = self._decoded(row)
        place[:] = np.asarray(image)
        self._there[row] = 1
        return image

    def _decoded(self, row: int) -> Image.Image:
        try:
            image = decode(self.images[row], self.shorter)
        except FAULTS as error:
            raise AdaptError(
                f"{self.names[row]} can no longer be read: {error}", "It could when the run began."
            ) from error
        if image.size != self.sizes[row]:
            raise AdaptError(f"{self.names[row]} has changed since the run began: its size is another")
        return image

    def describe(self) -> str:
        """How they are read, for a person."""
        smaller = f", reduced to a shorter edge of {self.shorter} pixels" if self.shorter else ""
        where = "decoded once and kept in memory" if self.cached else "decoded each time"
        return f"{len(self):,} images, {bytes_text(self.bytes)} as pixels{smaller}: {where}"
