"""Where images and their labels may come from, and how they are split."""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from adapt_core.errors import AdaptError, UsageError
from adapt_vision.data.decoding import decode
from adapt_vision.data.listing import from_row
from adapt_vision.data.options import ImageDataOptions
from adapt_vision.data.sample import draw, hold_out
from adapt_vision.image_classification.rows import load_other_rows, load_rows


def load(path: Path, seed: int = 0, **options: Any) -> Any:
    return load_rows(ImageDataOptions(path=str(path), **options), seed, evaluate=True)


def pairs(rows: Any, names: list[str]) -> list[tuple[str, str]]:
    return [(Path(row["image"]).name, names[row["label"]]) for row in rows]


def test_a_folder_of_splits(images: Path) -> None:
    train, evaluation, info = load(images)
    assert info["label_names"] == ["blue", "green", "red"]
    assert info["rows"] == {"train": 36, "validation": 12, "test": 0}
    assert info["labels"] == {"blue": 12, "green": 12, "red": 12}
    assert pairs(evaluation, info["label_names"])[:2] == [("000.png", "blue"), ("001.png", "blue")]
    for row in train:
        assert Path(row["image"]).parent.name == info["label_names"][row["label"]]


def test_a_folder_of_classes_is_split_by_the_seed(images: Path) -> None:
    first, held, info = load(images / "train", validation_share=0.25)
    assert (len(first), len(held)) == (27, 9)
    assert Counter(held.labels) == {0: 3, 1: 3, 2: 3}
    assert not {row["image"] for row in first} & {row["image"] for row in held}
    assert load(images / "train", validation_share=0.25)[2]["fingerprint"] == info["fingerprint"]
    assert load(images / "train", seed=1, validation_share=0.25)[2]["fingerprint"] != info["fingerprint"]


def rows_of(images: Path, split: str) -> list[dict[str, str]]:
    return [
        {"file_name": str(path.relative_to(images / split)), "label": path.parent.name}
        for path in sorted((images / split).rglob("*.png"))
    ]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_metadata_names_images_beside_it(kind: str, images: Path, tmp_path: Path) -> None:
    (tmp_path / "data" / "train").mkdir(parents=True)
    rows = []
    for number, row in enumerate(rows_of(images, "train")):
        name = f"{number}.png"
        (tmp_path / "data" / "train" / name).write_bytes((images / "train" / row["file_name"]).read_bytes())
        rows.append({"file_name": name, "label": row["label"]})
    write(tmp_path / "data" / "train" / f"metadata.{kind}", rows)
    train, _, info = load(tmp_path / "data", validation_share=0.1)
    assert info["label_names"] == ["blue", "green", "red"]
    assert dict(pairs(train, info["label_names"])).items() <= {(r["file_name"], r["label"]) for r in rows}


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    import pandas

    frame = pandas.DataFrame(rows)
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    elif path.suffix == ".tsv":
        frame.to_csv(path, index=False, sep="\t")
    elif path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
def test_a_table_of_paths_and_labels(kind: str, images: Path, tmp_path: Path) -> None:
    write(
        tmp_path / f"rows.{kind}", [{"picture": r["file_name"], "kind": r["label"]} for r in rows_of(images, "train")]
    )
    options = {"image_column": "picture", "label_column": "kind", "image_root": str(images / "train")}
    train, held, info = load(tmp_path / f"rows.{kind}", **options)
    assert len(train) + len(held) == 36
    assert info["label_names"] == ["blue", "green", "red"]


def test_a_folder_of_tables_is_a_table_for_each_split(images: Path, tmp_path: Path) -> None:
    for split in ("train", "validation"):
        rows = [{"path": str(images / split / r["file_name"]), "label": r["label"]} for r in rows_of(images, split)]
        write(tmp_path / f"{split}.csv", rows)
    train, evaluation, _ = load(tmp_path)
    assert (len(train), len(evaluation)) == (36, 12)


@pytest.mark.parametrize("labels", [[3, 10, 3, 10], ["3", "10", "3", "10"]])
def test_whole_numbers_are_classes_in_their_order(labels: list[Any], images: Path, tmp_path: Path) -> None:
    paths = [str(images / "train" / "red" / f"{number:03d}.png") for number in range(4)]
    write(tmp_path / "rows.jsonl", [{"path": path, "label": label} for path, label in zip(paths, labels, strict=True)])
    assert load(tmp_path / "rows.jsonl")[2]["label_names"] == ["3", "10"]


def test_a_saved_data_set_keeps_the_names_and_contents_of_its_images(images: Path, tmp_path: Path) -> None:
    import datasets

    names = ["green", "red", "blue"]
    rows = rows_of(images, "train")
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=names)})
    contents = [{"bytes": (images / "train" / r["file_name"]).read_bytes(), "path": None} for r in rows]
    data = datasets.Dataset.from_dict(
        {"image": contents, "label": [names.index(r["label"]) for r in rows]}, features=features
    )
    datasets.DatasetDict(train=data).save_to_disk(tmp_path / "saved")
    train, _, info = load(tmp_path / "saved")
    assert info["label_names"] == ["blue", "green", "red"]
    row = json.loads(json.dumps(train[0]))
    found = decode(from_row(row["image"]))
    originals = [np.asarray(Image.open(io.BytesIO(each["bytes"]))) for each in contents]
    assert any(each.shape == np.asarray(found).shape and (each == np.asarray(found)).all() for each in originals)


def test_a_data_set_of_the_hub_is_read_by_its_splits_and_columns(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    features = datasets.Features({"picture": datasets.Image(), "kind": datasets.ClassLabel(names=["red", "green"])})

    def stored(split: str) -> Any:
        paths = [str(images / split / label / "000.png") for label in ("green", "red")]
        return datasets.Dataset.from_dict({"picture": paths, "kind": [1, 0]}, features=features)

    hub = {
        ("someone/pictures", "small"): datasets.DatasetDict(fitting=stored("train"), validation=stored("validation"))
    }
    monkeypatch.setattr(datasets, "load_dataset", lambda name, config: hub[name, config])
    given = {"config": "small", "train_split": "fitting", "image_column": "picture", "label_column": "kind"}
    options = ImageDataOptions(name="someone/pictures", **given)
    train, evaluation, info = load_rows(options, 0, evaluate=True)
    assert info["rows"] == {"train": 2, "validation": 2, "test": 0} and info["label_names"] == ["green", "red"]
    for rows, split in ((train, "train"), (evaluation, "validation")):
        for row in rows:
            original = Image.open(images / split / info["label_names"][row["label"]] / "000.png").convert("RGB")
            assert decode(from_row(row["image"])).tobytes() == original.tobytes()
    with pytest.raises(UsageError, match=r"someone/pictures has no split 'fiting'.*did you mean 'fitting'"):
        load_rows(options.model_copy(update={"train_split": "fiting"}), 0, evaluate=True)
    with pytest.raises(AdaptError, match=r"someone/pictures, split fitting.*no column 'image'"):
        load_rows(options.model_copy(update={"image_column": "image"}), 0, evaluate=True)


def test_a_hub_that_cannot_be_reached_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    with pytest.raises(AdaptError, match="The data set someone/pictures cannot be loaded from the hub: ") as caught:
        load_rows(ImageDataOptions(name="someone/pictures"), 0, evaluate=True)
    assert "save_to_disk" in str(caught.value.hint) and "dataset.config (DATASET_CONFIG)" in str(caught.value.hint)


def test_other_data_is_read_with_the_classes_of_the_run(images: Path) -> None:
    options = ImageDataOptions(path=str(images))
    _, _, info = load_rows(options, 0, evaluate=True)
    rows, name = load_other_rows(options, str(images), "train", info, 0)
    assert (len(rows), name) == (36, str(images / "train"))
    with pytest.raises(UsageError, match="has 2 splits"):
        load_other_rows(options, str(images), None, info, 0)


def test_fewer_rows_are_drawn_by_class_and_seed() -> None:
    labels = ["a"] * 60 + ["b"] * 30 + ["c"]
    for seed in range(5):
        rows = draw(labels, 31, seed, "x")
        counts = Counter(labels[row] for row in rows)
        assert len(rows) == len(set(rows)) == 31
        assert counts["c"] == 1 and abs(counts["a"] - 20) <= 1
    assert draw(labels, 31, 0, "x") != draw(labels, 31, 1, "x") != draw(labels, 31, 1, "y")
    held = hold_out(labels, 0.1, 0)
    shares = Counter(labels[row] for row in held)
    assert len(held) == 9 and abs(shares["a"] - 6) <= 1 and abs(shares["b"] - 3) <= 1  # 91 rows: within one of each
    assert hold_out(["a", "b"], 0.5, 0) == []
