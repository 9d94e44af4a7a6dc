"""The ``dataset`` section of the vision tasks. Imports nothing heavy: it is loaded to check a configuration."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from adapt_core.config.sections import DatasetOptions
from adapt_core.options import option


class ImageDataOptions(DatasetOptions):
    """Images with a label each: folders, a table of paths, or a data set of the hub."""

    path: str | None = option(
        None,
        flat="CUSTOM_DATASET_PATH",
        min_length=1,
        path=True,
        help="Local data: a folder split/class/image or class/image, one with metadata.csv or metadata.jsonl, a table "
        "of paths and labels (CSV, JSON lines, Parquet), a folder of such tables, Parquet files that hold the images "
        "themselves, or a saved `datasets` folder.",
    )
    train_split: str | None = option(
        None, min_length=1, help="Name of the training split; by default train, found by its usual names."
    )
    validation_split: str | None = option(
        None,
        min_length=1,
        help="Name of the split to evaluate on; by default validation, val, valid, dev or eval, or a part of train.",
    )
    test_split: str | None = option(
        None, min_length=1, help="Name of the test split, which no training run evaluates on; by default test."
    )
    image_column: str | None = option(
        None,
        min_length=1,
        help="Column of the image or its path; by default found by its usual names (image, file_name, path, …).",
    )
    label_column: str | None = option(
        None, min_length=1, help="Column of the label; by default found by its usual names (label, class, target, …)."
    )
    image_root: str | None = option(
        None, min_length=1, path=True, help="Folder that paths in a table start from; by default that of the table."
    )
    skip_unreadable: bool = option(
        False, help="Leave out images that cannot be read, and say which; otherwise they are an error."
    )
    cache: Literal["auto", "none"] = option(
        "auto", help="Keep decoded images in memory where they fit into a quarter of what is free (auto), or do not."
    )

    @model_validator(mode="after")
    def _splits_differ(self) -> Self:
        given = [name for name in (self.train_split, self.validation_split, self.test_split) if name is not None]
        if len(set(given)) < len(given):
            twice = next(name for name in given if given.count(name) > 1)
            raise ValueError(f"train_split, validation_split and test_split must differ; {twice!r} is given twice")
        return self

    @model_validator(mode="after")
    def _columns_differ(self) -> Self:
        if self.image_column is not None and self.image_column == self.label_column:
            raise ValueError(f"image_column and label_column must differ; both are {self.image_column!r}")
        return self
