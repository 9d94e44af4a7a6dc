"""Names that a configuration may use and that belong to transformers.

They stand here so that checking a configuration does not import transformers; a test holds them to the installed
version's own lists.
"""

from __future__ import annotations

from collections.abc import Iterable

OPTIMIZERS: tuple[str, ...] = (
    "adamw_torch",
    "adamw_torch_fused",
    "adamw_torch_xla",
    "adamw_torch_npu_fused",
    "adafactor",
    "adamw_anyprecision",
    "adamw_torch_4bit",
    "adamw_torch_8bit",
    "ademamix",
    "sgd",
    "adagrad",
    "adamw_bnb_8bit",
    "adamw_8bit",
    "ademamix_8bit",
    "lion_8bit",
    "lion_32bit",
    "paged_adamw_32bit",
    "paged_adamw_8bit",
    "paged_ademamix_32bit",
    "paged_ademamix_8bit",
    "paged_lion_32bit",
    "paged_lion_8bit",
    "rmsprop",
    "rmsprop_bnb",
    "rmsprop_bnb_8bit",
    "rmsprop_bnb_32bit",
    "galore_adamw",
    "galore_adamw_8bit",
    "galore_adafactor",
    "galore_adamw_layerwise",
    "galore_adamw_8bit_layerwise",
    "galore_adafactor_layerwise",
    "lomo",
    "adalomo",
    "grokadamw",
    "schedule_free_radam",
    "schedule_free_adamw",
    "schedule_free_sgd",
    "apollo_adamw",
    "apollo_adamw_layerwise",
    "stable_adamw",
)

SCHEDULERS: tuple[str, ...] = (
    "linear",
    "cosine",
    "cosine_with_restarts",
    "polynomial",
    "constant",
    "constant_with_warmup",
    "inverse_sqrt",
    "reduce_lr_on_plateau",
    "cosine_with_min_lr",
    "cosine_warmup_with_min_lr",
    "warmup_stable_decay",
    "greedy",
)

TRACKERS: tuple[str, ...] = (
    "azure_ml",
    "comet_ml",
    "mlflow",
    "neptune",
    "tensorboard",
    "trackio",
    "wandb",
    "codecarbon",
    "clearml",
    "dagshub",
    "flyte",
    "dvclive",
    "swanlab",
    "kubeflow",
)


SHORTEST = 4
"""A shorter text begins too many names to mean one of them."""

LONGEST = 100
"""A longer text is no mistyped name, and comparing it takes long."""


def closest(name: str, names: Iterable[str]) -> str | None:
    """The name that a shortened one begins, or else is most like, whatever its case; None when none is near."""
    import difflib  # Only mistakes need it.

    if len(name) > LONGEST:
        return None
    by_folded = {candidate.lower(): candidate for candidate in names}
    begun = [candidate for folded, candidate in by_folded.items() if folded.startswith(name.lower())]
    if begun and len(name) >= SHORTEST:
        return begun[0]
    found = difflib.get_close_matches(name.lower(), by_folded, n=1, cutoff=0.6)
    return by_folded[found[0]] if found else None


def nearest(name: str, names: Iterable[str]) -> str:
    """``"; did you mean 'x'?"``, or the list of names when none is near."""
    known = list(names)
    found = closest(name, known)
    if found:
        return f"; did you mean {found!r}?"
    return f"; known: {', '.join(sorted(known))}" if known else ""
