"""Image files by their paths and folders, as a command line names them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from adapt_core.errors import AdaptError, UsageError
from adapt_vision.data.decoding import is_image
from adapt_vision.data.folders import files_in


def images_at(inputs: Sequence[str]) -> list[str]:
    """Paths of files, and of the images in folders, by name.

    Raises:
        UsageError: nothing is named, or a path leads nowhere.
        AdaptError: a folder holds no images.
    """
    if not inputs:
        raise UsageError("There is nothing to predict.", "Give image files or folders of them.")
    paths = []
    for given in inputs:
        path = Path(given)
        if not path.exists():
            raise UsageError(f"There is no file or folder {given}.", "Check the path.")
        found = [str(each) for each in files_in(path) if is_image(each)] if path.is_dir() else [given]
        if not found:
            raise AdaptError(f"The folder {given} holds no images.", "Images are known by the endings of their names.")
        paths += found
    return paths
