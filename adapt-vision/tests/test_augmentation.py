"""Augmentation is a function of (seed, epoch, row), and computes what its papers say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.transforms import v2

from adapt_vision.augmentation import Mixing, augmented, drawn_from, transform_for
from adapt_vision.data.cache import ImageReader
from adapt_vision.image_classification.rows import ModelInputs
from adapt_vision.processing import InputForm, Processing

FORM = InputForm((24, 32), (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), interpolation="bilinear")
NAMES = ("light", "standard", "autoaugment", "randaugment")


def noise(seed: int = 0, size: tuple[int, int] = (50, 40)) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((60, 50), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("name", NAMES)
def test_an_image_depends_on_seed_epoch_and_row_alone(name: Any) -> None:
    transform = transform_for(name, FORM)

    def made(*place: int) -> np.ndarray:
        return np.asarray(augmented(transform, noise(), *place))

    first = made(1, 2, 3)
    torch.rand(7)
    assert np.array_equal(first, made(1, 2, 3))
    assert first.shape == (24, 32, 3)
    for other in ((2, 2, 3), (1, 3, 3), (1, 2, 4)):
        assert not np.array_equal(first, made(*other))


def test_no_other_random_number_is_touched() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    augmented(transform_for("randaugment", FORM), noise(), 1, 2, 3)
    assert torch.equal(torch.rand(3), expected)


def test_light_is_a_crop_of_four_fifths_or_more_that_may_be_mirrored() -> None:
    # A crop of at least 80 % of the area never loses all of a border band of 30 % on both sides.
    plain = Image.new("RGB", (100, 100), "black")
    plain.paste((255, 255, 255), (0, 0, 50, 100))  # left half white
    halves = set()
    for row in range(40):
        pixels = np.asarray(augmented(transform_for("light", FORM), plain, 0, 0, row))[..., 0] > 127
        assert 0.3 < pixels.mean() < 0.7
        halves.add("left" if pixels[:, 0].all() else "right")
    assert halves == {"left", "right"}


def test_standard_is_torchvision_s_recipe() -> None:
    expected = v2.Compose([v2.RandomResizedCrop((24, 32)), v2.RandomHorizontalFlip()])
    with drawn_from(9, "augmentation", 0, 4):
        image = expected(noise())
    assert np.array_equal(np.asarray(image), np.asarray(augmented(transform_for("standard", FORM), noise(), 9, 0, 4)))


def test_mixup_is_the_weighted_mean_of_equation_1() -> None:
    one, other = torch.zeros(3, 8, 8), torch.ones(3, 8, 8)
    shares = []
    for row in range(200):
        mixed, share = Mixing(0.4, 0.0).mix(one, other, 0, 0, row)
        assert torch.allclose(mixed, torch.full_like(mixed, 1 - share))
        shares.append(share)
    # Beta(a, a) has mean 1/2 and variance 1 / (4 (2 a + 1)).
    assert np.mean(shares) == pytest.approx(0.5, abs=0.1)
    assert np.var(shares) == pytest.approx(1 / (4 * 1.8), rel=0.3)


def test_cutmix_puts_a_patch_in_whose_area_is_the_other_s_share() -> None:
    one, other = torch.zeros(3, 20, 30), torch.ones(3, 20, 30)
    seen = set()
    for row in range(50):
        mixed, share = Mixing(0.0, 1.0).mix(one, other, 0, 0, row)
        patch = mixed[0] == 1
        assert float(patch.float().mean()) == pytest.approx(1 - share, abs=1e-6)
        rows, columns = patch.any(1), patch.any(0)
        assert int(patch.sum()) == int(rows.sum() * columns.sum())  # a rectangle
        seen.add(round(share, 2))
    assert len(seen) > 20


def test_with_both_each_image_gets_one_of_the_two() -> None:
    one, other = torch.zeros(3, 20, 30), torch.ones(3, 20, 30)
    kinds = {len(Mixing(1.0, 1.0).mix(one, other, 0, 0, row)[0].unique()) for row in range(30)}
    assert kinds == {1, 2}


def inputs(**arguments: Any) -> ModelInputs:
    images = [encoded(noise(row)) for row in range(7)]
    reader = ImageReader(images, [f"image {row}" for row in range(7)], [(60, 50)] * 7)
    processing = Processing(FORM, lambda image: FORM.tensor(image.resize((32, 24))), None)
    return ModelInputs(reader, [0, 1, 2, 0, 1, 2, 0], processing, "x", seed=3, classes=3, **arguments)


def encoded(image: Image.Image) -> bytes:
    import io

    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("mixing", [None, Mixing(0.3, 0.5)])
def test_the_number_of_workers_changes_nothing(mixing: Mixing | None) -> None:
    def epochs(workers: int) -> list[torch.Tensor]:
        rows = inputs(transform=transform_for("randaugment", FORM), mixing=mixing)
        found = []
        for epoch in range(2):
            rows.set_epoch(epoch)
            found += [batch["x"] for batch in DataLoader(rows, batch_size=3, num_workers=workers)]
        return found

    alone, helped = epochs(0), epochs(2)
    assert all(torch.equal(one, other) for one, other in zip(alone, helped, strict=True))
    assert not torch.equal(alone[0], alone[3])  # the next epoch


def test_mixed_rows_have_targets_by_the_shares_of_both() -> None:
    rows = inputs(transform=transform_for("light", FORM), mixing=Mixing(1.0, 0.0))
    for row in range(7):
        found = rows[row]
        targets, partner = found["targets"], rows.mixing.partner(7, 3, 0, row)  # type: ignore[union-attr]
        assert float(targets.sum()) == pytest.approx(1)
        assert set(targets.nonzero().flatten().tolist()) <= {rows.labels[row], rows.labels[partner]}


def test_evaluation_rows_are_the_model_s_own_preprocessing() -> None:
    rows = inputs()
    assert torch.equal(rows[2]["x"], FORM.tensor(noise(2).resize((32, 24))))
    assert "targets" not in rows[2]
