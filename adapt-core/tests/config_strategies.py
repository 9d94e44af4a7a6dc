"""Valid configurations of the fake plugins, for property tests."""

from __future__ import annotations

from pathlib import Path

from hypothesis import strategies as st

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=8)
HUB_NAME = TEXT.filter(lambda text: not Path(text).is_dir())
TRAINING = st.fixed_dictionaries(
    {},
    optional={
        "lr": st.floats(min_value=1e-300, max_value=1e300),
        "epochs": st.integers(1, 5) | st.floats(min_value=0.1, max_value=5),
        "batch_size": st.integers(1, 10**6),
        "optimizer": st.sampled_from(["adamw_torch", "SGD"]),
        "optimizer_options": st.dictionaries(TEXT, st.none() | TEXT | st.lists(st.floats()) | st.booleans()),
        "trackers": st.lists(st.sampled_from(["MLflow", "wandb"])),
        "interval": st.sampled_from(["epoch", "steps"]),
    },
)
CONFIG = st.fixed_dictionaries(
    {
        "task": st.sampled_from(["read", "READ", {"name": "reading"}]),
        "model": st.fixed_dictionaries({"name": HUB_NAME}),
        "dataset": st.fixed_dictionaries(
            {"name": HUB_NAME},
            optional={
                "text_column": st.none() | TEXT,
                "names": st.dictionaries(st.integers(), TEXT) | st.dictionaries(TEXT, TEXT),
            },
        ),
        "method": st.sampled_from(["whole", "head_only"])
        | st.fixed_dictionaries(
            {"name": st.just("low_rank")},
            optional={
                "r": st.integers(1, 99),
                "train_head": st.none() | st.booleans(),
                "train_batch_norm": st.booleans(),
                "modules": TEXT | st.lists(TEXT),
                "init": st.booleans() | st.just("gaussian"),
            },
        ),
    },
    optional={
        "training": TRAINING,
        "save": st.sampled_from(["none", "pretrained", {"name": "state_dict"}]),
        "launch": st.sampled_from(["many", {"name": "many", "nodes": 3}]),
        "seed": st.integers(0, 2**32 - 1),
        "output_dir": TEXT,
    },
)
