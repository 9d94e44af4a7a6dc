"""The table of tasks and methods in the documentation has what the tests run, and nothing else."""

from __future__ import annotations

from pathlib import Path

import test_image_methods
import test_instance_segmentation
import test_object_detection
import test_pose_detection

PAGE = Path(__file__).parents[2] / "docs" / "annotated_images.md"
RUN = {
    "image_classification": test_image_methods.METHODS,
    "object_detection": test_object_detection.METHODS,
    "instance_segmentation": test_instance_segmentation.METHODS,
    "pose_detection": test_pose_detection.METHODS,
}


def table() -> list[str]:
    """The lines of the table, as it should be."""
    methods = list(dict.fromkeys(name for each in RUN.values() for name in each))
    head = ["| method | " + " | ".join(f"`{task}`" for task in RUN) + " |", "|---" * (len(RUN) + 1) + "|"]
    cells = {name: ["✓" if name in each else "" for each in RUN.values()] for name in methods}
    return [*head, *(f"| `{name}` | {' | '.join(marks)} |".replace("  ", " ") for name, marks in cells.items())]


def test_the_page_has_what_the_tests_run() -> None:
    text = PAGE.read_text(encoding="utf-8")
    lines = text[text.index("## Methods") :].splitlines()
    assert [line for line in lines if line.startswith("|")] == table()
