"""What ``adapt data`` shows of image files, whatever is annotated in them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence

from adapt_vision.data.integrity import ImageFile


def sizes(found: Sequence[ImageFile]) -> Mapping[str, Sequence[float]]:
    """Width and height of images."""
    return {
        "width in pixels": [each.size[0] for each in found],
        "height in pixels": [each.size[1] for each in found],
    }


def formats(found: Sequence[ImageFile]) -> Mapping[str, int]:
    """How many images are of each format."""
    return dict(Counter(each.form for each in found).most_common())


def within(names: Sequence[str]) -> Sequence[str]:
    """Paths from the folder that all of them are in; other names as they are."""
    if not all(map(os.path.isabs, names)):  # thousands of names
        return names
    folder = os.path.commonpath(os.path.dirname(name) for name in names)  # noqa: PTH120
    return [os.path.relpath(name, folder) for name in names]
