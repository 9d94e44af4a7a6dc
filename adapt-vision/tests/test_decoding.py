"""Images of every kind come out as a person sees them: with the pixels that their formats define."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adapt_vision.data.decoding import decode, reduced_size


def saved(image: Image.Image, path: Path, **arguments: object) -> str:
    image.save(path, **arguments)
    return str(path)


def pixels(path: str, **arguments: int) -> list[list[tuple[int, ...]]]:
    image = decode(path, **arguments)
    assert image.mode == "RGB"
    return [[tuple(pixel) for pixel in row] for row in np.asarray(image).tolist()]


def test_grey_becomes_three_equal_channels(tmp_path: Path) -> None:
    path = saved(Image.fromarray(np.array([[0, 7, 255]], dtype=np.uint8)), tmp_path / "a.png")
    assert pixels(path) == [[(0, 0, 0), (7, 7, 7), (255, 255, 255)]]


def test_of_16_bits_the_upper_eight_are_kept(tmp_path: Path) -> None:
    values = np.array([[0, 255, 256, 0x80FF, 65535]], dtype=np.uint16)
    for name in ("a.png", "a.tif"):
        path = saved(Image.fromarray(values), tmp_path / name)
        assert [each[0] for each in pixels(path)[0]] == [0, 0, 1, 0x80, 255]


def test_one_bit_is_black_and_white(tmp_path: Path) -> None:
    image = Image.new("1", (2, 1))
    image.putpixel((1, 0), 1)
    assert pixels(saved(image, tmp_path / "a.png")) == [[(0, 0, 0), (255, 255, 255)]]


def test_what_is_transparent_stands_before_white(tmp_path: Path) -> None:
    image = Image.new("RGBA", (3, 1))
    image.putpixel((0, 0), (10, 20, 30, 255))
    image.putpixel((1, 0), (10, 20, 30, 0))
    image.putpixel((2, 0), (0, 0, 0, 51))  # a fifth of black over white
    assert pixels(saved(image, tmp_path / "a.png")) == [[(10, 20, 30), (255, 255, 255), (204, 204, 204)]]


def test_grey_with_alpha_and_palettes_with_a_transparent_colour_too(tmp_path: Path) -> None:
    grey = Image.new("LA", (2, 1), (9, 255))
    grey.putpixel((1, 0), (9, 0))
    assert pixels(saved(grey, tmp_path / "a.png")) == [[(9, 9, 9), (255, 255, 255)]]
    palette = Image.new("P", (2, 1), 0)
    palette.putpalette([200, 0, 0, 0, 0, 200])
    palette.putpixel((1, 0), 1)
    path = saved(palette, tmp_path / "b.png", transparency=1)
    assert pixels(path) == [[(200, 0, 0), (255, 255, 255)]]


def test_cmyk_is_as_its_inks_mix(tmp_path: Path) -> None:
    image = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # magenta and yellow: red
    for name, arguments in (("a.tif", {}), ("a.jpg", {"quality": 100})):
        red, green, blue = pixels(saved(image, tmp_path / name, **arguments))[8][8]
        assert red >= 250 and green <= 5 and blue <= 5


@pytest.mark.parametrize(
    ("orientation", "expected"),
    # EXIF 2.32, section 4.6.4: where the stored first row and column are in the picture, for the stored row 1 2 / 3 4.
    [
        (1, [[1, 2], [3, 4]]), (2, [[2, 1], [4, 3]]), (3, [[4, 3], [2, 1]]), (4, [[3, 4], [1, 2]]),
        (5, [[1, 3], [2, 4]]), (6, [[3, 1], [4, 2]]), (7, [[4, 2], [3, 1]]), (8, [[2, 4], [1, 3]]),
    ],
)  # fmt: skip
def test_images_are_turned_as_their_exif_says(orientation: int, expected: list[list[int]], tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.array([[1, 2], [3, 4]], dtype=np.uint8) * 50)
    path = saved(stored, tmp_path / "a.png", exif=exif)
    assert [[pixel[0] // 50 for pixel in row] for row in pixels(path)] == expected


def test_the_first_of_several_frames_is_taken(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (2, 2), colour) for colour in ("red", "blue")]
    path = saved(frames[0], tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert pixels(path)[0][0] == (255, 0, 0)


def test_floating_point_pixels_and_more_than_16_bits_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="floating-point"):
        decode(saved(Image.fromarray(np.array([[0.5]], dtype=np.float32)), tmp_path / "a.tif"))
    with pytest.raises(ValueError, match="more than 16 bits"):
        decode(saved(Image.fromarray(np.array([[70000]], dtype=np.int32)), tmp_path / "b.tif"))


def test_contents_are_decoded_as_files_are(tmp_path: Path) -> None:
    path = saved(Image.new("RGB", (3, 2), (1, 2, 3)), tmp_path / "a.png")
    assert np.array_equal(decode(path), decode(Path(path).read_bytes()))


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("size", [(1000, 601), (601, 1000), (333, 50)])
def test_large_images_are_reduced_to_the_size_that_is_told(
    size: tuple[int, int], orientation: int, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    gradient = Image.linear_gradient("L").resize(size).convert("RGB")
    path = saved(gradient, tmp_path / "a.jpg", exif=exif)
    whole, small = decode(path), decode(path, 100)
    assert small.size == reduced_size(whole.size, 100)
    assert min(small.size) == min(100, *size)
    # The same picture: reducing the whole one afterwards gives nearly the same pixels.
    other = whole.resize(small.size, Image.Resampling.BICUBIC)
    assert np.abs(np.asarray(small, dtype=int) - np.asarray(other, dtype=int)).mean() < 2
