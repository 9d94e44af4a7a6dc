"""Models with one output a label, of a text or of each of its tokens: loading them, and computing with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from adapt_core.bundles import Model
from adapt_core.errors import AdaptError
from adapt_core.interfaces import Quantizer
from adapt_core.models.pretrained import label_names, load_model
from adapt_core.plan.run_plan import RunPlan
from adapt_nlp.tokenizer import load_tokenizer, longest, pad_behind


def load_classifier(
    auto_class: Any,
    plan: RunPlan,
    names: Sequence[str],
    max_length: int | None,
    path: Path | None = None,
    quantizer: Quantizer | None = None,
    **config: Any,
) -> Model:
    """A model with one output a label, and its tokenizer, which carries the longest text in tokens.

    Args:
        auto_class: the ``AutoModelFor…`` of the task.
        plan: of the run.
        names: of the labels, in the order of their ids.
        max_length: what the configuration says of the longest text.
        path: a saved whole model; None for the base that the plan names.
        quantizer: of the base.
        config: further values to set in the model's configuration.

    Raises:
        AdaptError: the model cannot be loaded, or its head knows other labels and is not trained.
    """
    model = load_model(
        auto_class,
        plan.model,
        load_tokenizer(plan.model, path),
        path=path,
        train_head=plan.train_head,
        config={
            "num_labels": len(names),
            "id2label": dict(enumerate(names)),
            "label2id": {name: index for index, name in enumerate(names)},
            **config,
        },
        quantizer=quantizer,
    )
    trained = plan.training.do_train and plan.train_head is not False
    if path is None and not trained and not model.hints.fresh:
        _require_labels(plan, names)
    model.processor.model_max_length = longest(max_length, model.processor, model.module)
    pad_behind(model.processor, model.module)
    return model


def batch_size(plan: RunPlan) -> int:
    """Rows in a batch where nothing is trained."""
    return plan.training.eval_batch_size or 2 * plan.training.batch_size


def logits(module: Any, batch: Mapping[str, torch.Tensor]) -> np.ndarray:
    """A classifier's logits for a batch, float32, in evaluation mode; the model's mode is left as it was."""
    return np.asarray(outputs_of(module, batch).logits.float().cpu().numpy())


def outputs_of(module: Any, batch: Mapping[str, torch.Tensor]) -> Any:
    """What a model gives for a batch, in evaluation mode; the model's mode is left as it was."""
    device = next(module.parameters()).device
    with _evaluating(module), torch.inference_mode():
        return module(**{name: value.to(device) for name, value in batch.items()})


def softmax(values: np.ndarray) -> np.ndarray:
    """Probabilities over the last axis."""
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


@contextmanager
def _evaluating(module: Any) -> Iterator[None]:
    training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(training)


def _require_labels(plan: RunPlan, names: Sequence[str]) -> None:
    own = label_names(plan.model)
    if own and own != list(names):
        raise AdaptError(
            f"The model's head knows the labels {', '.join(own)}, the data has {', '.join(names)}, and the head is "
            "not trained: its answers would mean nothing",
            "Train the head, or give the data's labels the model's names with dataset.label_names.",
        )
