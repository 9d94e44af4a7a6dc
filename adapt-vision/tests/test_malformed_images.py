"""Every kind of malformed image data is an error before the model loads, which says what and where."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from adapt_core.errors import AdaptError
from adapt_vision.data.options import ImageDataOptions
from adapt_vision.image_classification.rows import load_rows

Damage = Callable[[Path], dict[str, Any] | None]


def table(folder: Path, rows: list[dict[str, Any]], name: str = "rows.csv") -> dict[str, Any]:
    """Writes a table beside the images and names it."""
    path = folder / name
    if name.endswith(".csv"):
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {"path": str(path)}


def good(folder: Path) -> list[dict[str, Any]]:
    return [
        {"path": f"train/{label}/{number:03d}.png", "label": label} for label in ("red", "blue") for number in range(4)
    ]


def changed(**cells: Any) -> Damage:
    """A table whose third row has other cells."""
    return lambda folder: table(folder, [row | (cells if n == 2 else {}) for n, row in enumerate(good(folder))])


def emptied(folder: Path) -> None:
    shutil.rmtree(folder / "train")
    (folder / "train").mkdir()


def without_classes(folder: Path) -> None:
    for each in (folder / "train").iterdir():
        shutil.rmtree(each)
    Image.new("RGB", (4, 4)).save(folder / "train" / "a.png")


def truncated(folder: Path) -> None:
    path = folder / "train" / "red" / "001.png"
    path.write_bytes(path.read_bytes()[:-200])


def truncated_jpeg(folder: Path) -> None:
    path = folder / "train" / "red" / "big.jpg"
    Image.effect_noise((300, 300), 80).save(path)
    path.write_bytes(path.read_bytes()[:5000])


def two_tables(folder: Path) -> None:
    for name in ("metadata.csv", "metadata.jsonl"):
        (folder / "train" / name).write_text("file_name,label\n")


def no_train_split(folder: Path) -> None:
    (folder / "train").rename(folder / "test")


def two_validations(folder: Path) -> None:
    shutil.copytree(folder / "validation", folder / "val")


def other_class(folder: Path) -> None:
    (folder / "validation" / "red").rename(folder / "validation" / "pink")


def one_class(folder: Path) -> None:
    shutil.rmtree(folder / "train" / "red")
    shutil.rmtree(folder / "train" / "green")


KINDS: dict[str, tuple[Damage, str]] = {
    "nothing there": (lambda folder: {"path": str(folder / "nowhere")}, r"no data at .*nowhere"),
    "a file that is no table": (lambda f: {"path": str(f / "train/red/000.png")}, r"000.png is no table"),
    "an empty split": (emptied, r"train holds no images"),
    "images without classes": (without_classes, r"train holds 1 images and no folder of a class"),
    "a class without images": (lambda f: (f / "train" / "pink").mkdir(), r"1 of 4 classes have no images: pink"),
    "images beside the classes": (
        lambda f: Image.new("RGB", (4, 4)).save(f / "train" / "loose.png"),
        r"1 images beside the folders of its classes: loose.png",
    ),
    "one class only": (one_class, r"a single class, 'blue'"),
    "an empty file": (
        lambda f: (f / "train/red/000.png").write_bytes(b"") and None,
        r"1 of 36 images cannot be read:\n.*red/000.png \(the file is empty\)",
    ),
    "no image": (
        lambda f: (f / "train/red/000.png").write_bytes(b"hello") and None,
        r"red/000.png \(this is no image file that Pillow knows\)",
    ),
    "a truncated PNG": (truncated, r"red/001.png \(.*truncated"),
    "a truncated JPEG": (truncated_jpeg, r"red/big.jpg \(.*truncated"),
    "a floating-point image": (
        lambda f: Image.new("F", (4, 4)).save(f / "train/red/a.tif"),
        r"red/a.tif \(its pixels are floating-point",
    ),
    "an unknown split": (
        lambda f: {"path": str(f), "validation_split": "validatoin"},
        r"no split 'validatoin'.*did you mean 'validation'",
    ),
    "no training split": (no_train_split, r"no training split"),
    "two validation splits": (two_validations, r"2 splits that could be its validation split: val, validation"),
    "other classes in another split": (other_class, r"not among the 3 training classes: 'pink' \(4\).*pink/000.png"),
    "two tables of names": (two_tables, r"metadata.csv, metadata.jsonl"),
    "a table without a path": (lambda f: table(f, [{"a": "x", "label": "red"}]), r"no column holds the image"),
    "a table without a label": (lambda f: table(f, [{"path": "x"}]), r"no column holds the label"),
    "an unknown column": (
        lambda f: {**table(f, good(f)), "image_column": "pth"},
        r"no column 'pth', which dataset.image_column names; did you mean 'path'",
    ),
    "a missing file": (changed(path="train/red/nix.png"), r"1 of 8 images are not there: .*nix.png; at line 4"),
    "a folder instead of a file": (changed(path="train/red"), r"1 of 8 images are folders.*at line 4"),
    "an empty path": (changed(path=" "), r"column 'path' holds no path at line 4"),
    "a missing label": (changed(label=""), r"label is missing in column 'label' at line 4 \(1 of 8 rows\)"),
    "a missing label in JSON": (
        lambda f: table(f, [row | ({"label": None} if n == 2 else {}) for n, row in enumerate(good(f))], "rows.jsonl"),
        r"label is missing in column 'label' at line 3",
    ),
    "a cell too many": (
        lambda f: (f / "a.csv").write_text("path,label\na.png,cat\nb.png,dog,x\n") and {"path": str(f / "a.csv")},
        r"line 3: 3 cells, where the header has 2",
    ),
    "a column twice": (
        lambda f: (f / "a.csv").write_text("path,label,label\na.png,cat,x\n") and {"path": str(f / "a.csv")},
        r"names a column twice",
    ),
    "an empty table": (lambda f: (f / "a.csv").write_text("path,label\n") and {"path": str(f / "a.csv")}, r"no rows"),
    "a table that is none": (
        lambda f: (f / "a.parquet").write_bytes(b"nothing") and {"path": str(f / "a.parquet")},
        r"a.parquet cannot be read",
    ),
    "a damaged saved folder": (
        lambda f: (f / "state.json").write_text("{}") and None,
        r"looks like a folder saved by datasets",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_malformed_data_is_an_error_that_names_it(kind: str, images: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    shutil.copytree(images, folder)
    damage, message = KINDS[kind]
    given = damage(folder)
    options = ImageDataOptions(**(given if isinstance(given, dict) else {"path": str(folder)}))
    with pytest.raises(AdaptError, match=rf"(?s){message}") as caught:
        load_rows(options, 0, evaluate=True)
    assert caught.value.hint


def test_unreadable_images_are_left_out_when_asked_for(images: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    shutil.copytree(images, folder)
    truncated(folder)
    train, _, info = load_rows(ImageDataOptions(path=str(folder), skip_unreadable=True), 0, evaluate=True)
    assert len(train) == 35 == info["rows"]["train"]
    assert [each.split(" (")[0] for each in info["unreadable"]] == [str(folder / "train" / "red" / "001.png")]
    assert str(folder / "train" / "red" / "001.png") not in train.listing.names
