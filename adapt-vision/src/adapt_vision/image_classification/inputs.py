"""What to predict: image files, folders of them, or the rows of a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adapt_core.errors import UsageError
from adapt_vision.data.decoding import is_image
from adapt_vision.data.files import images_at
from adapt_vision.data.listing import DATA_URI
from adapt_vision.data.options import ImageDataOptions
from adapt_vision.data.tables import IMAGE_NAMES, column, paths_of, read_table


def read_inputs(inputs: Sequence[str], file: Path | None, options: ImageDataOptions) -> list[dict[str, Any]]:
    """Rows to predict: first the files and the images in the folders, by name, then those that a table names.

    Args:
        inputs: paths of image files and of folders.
        file: a table with a column of paths, as the run's data has them; a label is not needed. Or an image,
            or a folder of them.
        options: the run's ``dataset`` section.

    Returns:
        ``{"image": path}`` each.

    Raises:
        UsageError: there is nothing to predict, or a column is missing.
        AdaptError: a path leads nowhere.
    """
    paths = [path for given in inputs for path in ([given] if given.startswith(DATA_URI) else images_at([given]))]
    if file is not None and (file.is_dir() or is_image(file)):
        paths += images_at([str(file)])
    elif file is not None:
        columns = read_table(file)
        image = column(columns, options.image_column, IMAGE_NAMES, "image", file)
        root = Path(options.image_root) if options.image_root else file.parent
        paths += paths_of(columns, image, file, root)
    if not paths:
        raise UsageError("There is nothing to predict.", "Give image files or folders of them, or a table of paths.")
    return [{"image": path} for path in paths]
