"""Handwritten digits as folders of PNG files: scikit-learn's ``load_digits``, 1,797 images of 8x8 pixels.

The test part of E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository,
1998, which 13 people wrote. The split is by place: the last images are for testing.
"""

from __future__ import annotations

from pathlib import Path

SPLITS = {"train": (0, 1200), "validation": (1200, 1400), "test": (1400, 1797)}


def write(folder: Path) -> dict[str, int]:
    """Writes ``split/digit/number.png``, in 32x32 pixels; returns how many images each split has."""
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = (digits.images * (255 / 16)).round().astype(np.uint8)  # they go from 0 to 16
    for split, (first, last) in SPLITS.items():
        for number in range(first, last):
            place = folder / split / str(digits.target[number])
            place.mkdir(parents=True, exist_ok=True)
            image = Image.fromarray(pixels[number]).resize((32, 32), Image.Resampling.BICUBIC)
            image.save(place / f"{number:04d}.png")
    return {split: last - first for split, (first, last) in SPLITS.items()}
