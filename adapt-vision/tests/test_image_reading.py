"""Decoded images are kept where they fit into memory, also between processes; what models read is their libraries'."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from adapt_core.bundles import Evaluated
from adapt_core.errors import AdaptError
from adapt_core.interfaces import World
from adapt_vision.data import cache
from adapt_vision.data.cache import ImageReader
from adapt_vision.image_classification.metrics import ImageClassificationMeter
from adapt_vision.libraries.timm_processor import data_config
from adapt_vision.libraries.transformers import form_of


@pytest.fixture
def files(tmp_path: Path) -> tuple[list[str], list[tuple[int, int]]]:
    draw = np.random.default_rng(0)
    paths, sizes = [], []
    for number in range(5):
        size = (20 + number, 30 - number)
        Image.fromarray(draw.integers(0, 256, (*size[::-1], 3), dtype=np.uint8)).save(tmp_path / f"{number}.png")
        paths.append(str(tmp_path / f"{number}.png"))
        sizes.append(size)
    return paths, sizes


def test_images_are_decoded_once_where_they_fit(files: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    paths, sizes = files
    decoded: list[str] = []
    original = cache.decode
    monkeypatch.setattr(cache, "decode", lambda image, shorter: decoded.append(image) or original(image, shorter))
    reader = ImageReader(paths, paths, sizes)
    assert reader.cached and "kept in memory" in reader.describe()
    for _ in range(2):
        for row, path in enumerate(paths):
            assert np.array_equal(np.asarray(reader[row]), np.asarray(Image.open(path)))
    assert decoded == paths
    monkeypatch.setattr(cache, "free_memory", lambda: 4 * reader.bytes - 1)
    small = ImageReader(paths, paths, sizes)
    assert not small.cached and "decoded each time" in small.describe()
    assert all(np.array_equal(np.asarray(small[row]), np.asarray(reader[row])) for row in range(5))
    assert not ImageReader(paths, paths, sizes, cached=False).cached
    monkeypatch.setattr(cache, "free_memory", lambda: 4 * reader.bytes)
    assert ImageReader(paths, paths, sizes).cached
    assert not ImageReader(paths, paths, sizes, promised=1).cached  # another reader has been told of the same memory


class Sums(Dataset[int]):
    def __init__(self, reader: ImageReader) -> None:
        self.reader = reader

    def __len__(self) -> int:
        return len(self.reader)

    def __getitem__(self, row: int) -> int:
        return int(np.asarray(self.reader[row]).astype(np.int64).sum())


def test_processes_that_load_data_share_what_they_decode(files: Any) -> None:
    paths, sizes = files
    reader = ImageReader(paths, paths, sizes)
    loader = DataLoader(Sums(reader), batch_size=None, num_workers=2, multiprocessing_context="fork")
    sums = [int(each) for each in loader]
    assert reader._there.tolist() == [1] * 5  # decoded in the other processes
    for path in paths:
        Path(path).unlink()
    assert [Sums(reader)[row] for row in range(5)] == sums


def test_a_process_without_shared_memory_decodes_for_itself(files: Any) -> None:
    paths, sizes = files
    reader = ImageReader(paths, paths, sizes)
    other = pickle.loads(pickle.dumps(reader))
    assert np.array_equal(np.asarray(other[1]), np.asarray(reader[1]))


def test_an_image_that_changes_while_the_run_goes_on_is_named(files: Any) -> None:
    paths, sizes = files
    reader = ImageReader(paths, paths, sizes)
    Image.new("RGB", (7, 7)).save(paths[2])
    with pytest.raises(AdaptError, match=r"2.png has changed since the run began"):
        reader[2]
    Path(paths[3]).unlink()
    with pytest.raises(AdaptError, match=r"3.png can no longer be read"):
        reader[3]


def test_large_images_are_kept_as_they_are_reduced(tmp_path: Path) -> None:
    Image.new("RGB", (900, 500), "red").save(tmp_path / "a.jpg")
    reader = ImageReader([str(tmp_path / "a.jpg")], ["a"], [(900, 500)], shorter=50)
    assert reader[0].size == reader[0].size == (90, 50)
    assert reader.bytes == 90 * 50 * 3


def noise() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 70, 3), dtype=np.uint8))


def processors() -> dict[str, Any]:
    from transformers import ConvNextImageProcessor, MobileNetV1ImageProcessor, ViTImageProcessor

    return {
        "squash": ViTImageProcessor(size={"height": 24, "width": 32}, image_mean=[0.1, 0.2, 0.3]),
        "crop_pct": ConvNextImageProcessor(size={"shortest_edge": 56}, crop_pct=0.875),
        "center_crop": MobileNetV1ImageProcessor(
            size={"shortest_edge": 40}, crop_size={"height": 32, "width": 32}, image_std=[0.2, 0.3, 0.4]
        ),
        "plain": ViTImageProcessor(size={"height": 24, "width": 24}, do_normalize=False),
    }


@pytest.mark.parametrize("name", processors())
def test_training_images_get_the_values_that_the_processor_gives(name: str) -> None:
    processor = processors()[name]
    form = form_of(processor)
    image = noise().resize((form.size[1], form.size[0]))
    off = {"do_resize": False, **({"do_center_crop": False} if name == "center_crop" else {})}
    expected = processor(images=image, return_tensors="pt", **off)["pixel_values"][0]
    assert torch.allclose(form.tensor(image), expected, atol=1e-5)
    assert tuple(processor(images=noise(), return_tensors="pt")["pixel_values"].shape[-2:]) == form.size


@pytest.mark.parametrize("name", processors())
def test_timm_s_transform_reads_images_as_a_processor_of_transformers_does(name: str) -> None:
    from timm.data import create_transform

    processor = processors()[name]
    found = create_transform(**data_config(processor.to_dict(), name))(smooth())
    expected = processor(images=smooth(), return_tensors="pt")["pixel_values"][0]
    assert found.shape == expected.shape
    # Pillow and torch round differently, and crop at another half of a pixel.
    assert (found - expected).abs().mean() < 0.02


def smooth() -> Image.Image:
    return Image.linear_gradient("L").resize((90, 90), Image.Resampling.BICUBIC).convert("RGB")


def test_a_processor_that_timm_has_no_words_for_is_refused() -> None:
    with pytest.raises(AdaptError, match=r"scales pixels by 0\.5"):
        data_config({"rescale_factor": 0.5, "size": {"height": 1, "width": 1}}, "x")
    with pytest.raises(AdaptError, match="longest_edge"):
        data_config({"size": {"longest_edge": 5}}, "x")


def measured(labels: np.ndarray, logits: np.ndarray, batches: list[slice]) -> Evaluated:
    meter = ImageClassificationMeter(logits.shape[1])
    for batch in batches:
        meter.update(
            {"labels": torch.from_numpy(labels[batch])},
            {"logits": torch.from_numpy(logits[batch]), "loss": torch.tensor(0.0)},
        )
    return meter.result(World())


def test_metrics_are_those_of_scikit_learn_however_rows_are_batched() -> None:
    from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, top_k_accuracy_score

    draw = np.random.default_rng(0)
    labels, logits = draw.integers(0, 9, 53), draw.normal(size=(53, 9)).astype(np.float32)
    labels[labels == 4] = 3  # a class that is never true
    chosen = logits.argmax(-1)
    found = measured(labels, logits, [slice(0, 53)])
    assert found.metrics == pytest.approx(
        {
            "accuracy": accuracy_score(labels, chosen),
            "f1_macro": f1_score(labels, chosen, average="macro"),
            "top_5_accuracy": top_k_accuracy_score(labels, logits, k=5, labels=range(9)),
        }
    )
    assert (found.outputs.confusion == confusion_matrix(labels, chosen, labels=range(9))).all()
    again = measured(labels, logits, [slice(0, 20), slice(20, 21), slice(21, 53)])
    assert again.metrics == found.metrics
    assert (again.outputs.classes == chosen).all() and (again.outputs.labels == labels).all()
    assert "top_5_accuracy" not in measured(labels % 5, logits[:, :5], [slice(0, 53)]).metrics


def test_the_report_shows_the_surest_mistakes_first(files: Any) -> None:
    from adapt_vision.data.listing import Listing
    from adapt_vision.image_classification.report import samples
    from adapt_vision.image_classification.rows import LabelledImages

    paths, _ = files
    rows = LabelledImages(Listing("x", paths, paths, list("ababa")), [], [0, 1, 0, 1, 0])
    logits = np.array([[5, 0], [2, 0], [0, 3], [0, 1], [1, 0]], dtype=np.float32)
    outputs = measured(np.array([0, 1, 0, 1, 0]), logits, [slice(0, 5)]).outputs
    wrong, right = samples(outputs, rows, ["a", "b"])
    assert [caption for _, caption in wrong.rows] == ["a, taken for b (0.95)", "b, taken for a (0.88)"]
    assert len(right.rows) == 3
    # Row 2 of the evaluation is the surest mistake, and its picture is the one that is shown.
    assert Image.open(io.BytesIO(wrong.rows[0][0])).size == Image.open(paths[2]).size


def test_settings_that_keep_a_model_from_learning_are_told() -> None:
    from transformers import AutoModelForImageClassification, MobileNetV1Config, ResNetConfig

    from adapt_vision.libraries.oddities import oddities

    published = AutoModelForImageClassification.from_config(MobileNetV1Config(depth_multiplier=0.25, num_labels=2))
    dropout, momentum = oddities(published)
    assert "dropout drops 99.9%" in dropout
    assert "27 layers of batch normalisation have a momentum of 0.9997" in momentum
    assert not list(oddities(AutoModelForImageClassification.from_config(ResNetConfig(depths=[1, 1, 1, 1]))))
