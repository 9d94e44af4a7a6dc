"""Mistakes in configurations of the fake plugins: where each is, under which key, and its code.

How they are worded is in ``tests/broken_configs/messages.golden.txt``, which ``tests/write_messages.py`` writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import fake_plugins
from fake_plans import BASE, problems_of

from adapt_core.config.file import parse, parse_overrides
from adapt_core.config.flat import core_table, to_nested
from adapt_core.errors import ConfigError, Problem
from adapt_core.kinds import Kind
from adapt_core.plan.build import check

TABLE = core_table(fake_plugins.PLUGINS).with_options("method", fake_plugins.RankOptions)
"""What the names at the top level mean where the method is one with a rank."""

WRONG_VALUES = [
    ("LR: x", "LR", "wrong-type"),
    ("LR: ", "LR", "wrong-type"),
    ("LR: .inf", "LR", "out-of-range"),
    ("LR: -1", "LR", "out-of-range"),
    ("LR: [1]", "LR", "wrong-type"),
    ("BATCH_SIZE: 2.5", "BATCH_SIZE", "wrong-type"),
    ("BATCH_SIZE: eight", "BATCH_SIZE", "wrong-type"),
    ("BATCH_SIZE: true", "BATCH_SIZE", "wrong-type"),
    ("LR: true", "LR", "wrong-type"),
    ("MAX_TRAIN_SAMPLES: false", "MAX_TRAIN_SAMPLES", "wrong-type"),
    ("BETA1: 1", "BETA1", "out-of-range"),
    ("BETA1: -0.5", "BETA1", "out-of-range"),
    ("FP16: maybe", "FP16", "wrong-type"),
    ("FP16: 2", "FP16", "wrong-type"),
    ("INTERVAL: epochs", "INTERVAL", "not-a-choice"),
    ("INTERVAL: 3", "INTERVAL", "not-a-choice"),
    ("OPTIMIZER: adamw", "OPTIMIZER", "invalid-value"),
    ("OPTIMIZER: 3", "OPTIMIZER", "wrong-type"),
    ("SCHEDULER_TYPE: liner", "SCHEDULER_TYPE", "invalid-value"),
    ("TEXT_COLUMN: 3", "TEXT_COLUMN", "wrong-type"),
    ("OUTPUT_DIR: ''", "OUTPUT_DIR", "out-of-range"),
    ("SEED: 4294967296", "SEED", "out-of-range"),
    ("target_modules: 5", "target_modules", "wrong-type"),
    ("target_modules: [a, 5]", "target_modules[1]", "wrong-type"),
    ("training: {trackers: mlflow}", "training.trackers", "wrong-type"),
    ("training: {trackers: [mlfow]}", "training.trackers", "invalid-value"),
    ("training: {optimizer_options: 3}", "training.optimizer_options", "wrong-type"),
    ("training: {optimizer_options: {1: 2}}", "training.optimizer_options[1]", "wrong-type"),
    ("training: {fp16: true, bf16: true}", "training.fp16", "invalid-value"),
    ("Library: mmdet", "Library", "impossible-combination"),
    ("load_in_8bit: true", "load_in_8bit", "impossible-combination"),
    ("LAST_LAYER_TUNING: 3", "LAST_LAYER_TUNING", "wrong-type"),
    ("save: 5", "save", "wrong-type"),
    ("SAVE_METHOD: 5", "SAVE_METHOD", "wrong-type"),
    ("save: state_dct", "save", "no-such-plugin"),
]
"""A line after :data:`fake_plans.BASE`, the key that is wrong, and the code."""

UNKNOWN_KEYS = [
    ("BATCH: 3", "BATCH", "unknown-key", "BATCH_SIZE"),
    ("Batch_Sise: 3", "Batch_Sise", "unknown-key", "BATCH_SIZE"),
    ("trainig: {lr: 3}", "trainig", "unknown-key", "training"),
    ("xyzzy: 3", "xyzzy", "unknown-key", None),
    ("12: 3", "12", "unknown-key", None),
    ("batch_size: 3", "batch_size", "misplaced-key", "training.batch_size"),
    ("path: x", "path", "misplaced-key", None),
    ("training: {learning_rate: 3}", "training.learning_rate", "unknown-key", "lr"),
    ("learning_rate: 3", "learning_rate", "unknown-key", "LR"),
    ("rank: 3", "rank", "unknown-key", "r"),
    ("training: {weight_deca: 3}", "training.weight_deca", "unknown-key", "weight_decay"),
    ("training: {modles: 3}", "training.modles", "unknown-key", "method.modules"),
    ("training: {LR: 3}", "training.LR", "misplaced-key", "lr"),
    ("training: {r: 3}", "training.r", "misplaced-key", "method.r"),
    ("training: {seed: 3}", "training.seed", "misplaced-key", "seed"),
    ("training: {method: whole}", "training.method", "misplaced-key", "method"),
    ("training: {1: 3}", "training[1]", "unknown-key", None),
    ("save: {name: state_dict, half: true}", "save.half", "unknown-key", None),
    ("last_layer: 2", "last_layer", "key-of-another-plugin", None),
    ("num_nodes: 2", "num_nodes", "key-of-another-plugin", None),
    ("bnb_4bit_quant_type: nf4", "bnb_4bit_quant_type", "key-of-another-plugin", None),
    ("quantization: {kind: nf4}", "quantization.kind", "key-of-another-plugin", None),
    ("train_ann_file: x", "train_ann_file", "key-of-another-plugin", None),
    ("SSF_SCALE: 2", "SSF_SCALE", "key-of-another-plugin", None),
    ("SCALE_TUNING: true", "SCALE_TUNING", "key-of-another-plugin", None),
]
"""A line after :data:`fake_plans.BASE`, the key, the code and what is suggested."""

WHOLE = [
    (
        "task: look\nmodel: m\ndataset: d\nmethod: low_rank\nsize: 3\nTEXT_COLUMN: x\n",
        [(6, "TEXT_COLUMN", "key-of-another-plugin")],
    ),
    (
        "task: read\nmodel: m\ndataset: {name: d, question_column: x}\nmethod: whole\n",
        [(3, "dataset.question_column", "key-of-another-plugin")],
    ),
    (
        "task: {name: look, window: {strat: 3, end: x}}\nmodel: m\ndataset: d\nmethod: low_rank\nsize: 3\n",
        [(1, "task.window.strat", "unknown-key"), (1, "task.window.end", "wrong-type")],
    ),
    ("task: look\nmodel: m\ndataset: d\nmethod: low_rank\n", [(1, "task.size", "missing")]),
    ("task:\n  name: look\nmodel: m\ndataset: d\nmethod: low_rank\n", [(1, "task.size", "missing")]),
    ("", [(None, "", "empty-file")]),
    (
        "seed: 1\n",
        [
            (None, "task", "missing"),
            (None, "method", "missing"),
            (None, "model", "invalid-value"),
            (None, "dataset", "invalid-value"),
        ],
    ),
    (
        # What belongs to a plugin that is misnamed is not called unknown.
        "task: raed\nmodel: m\ndataset: {name: d, text_column: x}\nmethod: lowrank\nr: 3\nTEXT_COLUMN: y\nxyzzy: 1\n",
        [(1, "task", "no-such-plugin"), (4, "method", "no-such-plugin"), (7, "xyzzy", "unknown-key")],
    ),
    ("task: read\nmodel: m\ndataset: d\nmethod: gone\n", [(4, "method", "plugin-broken")]),
    ("task: read\nmodel: m\ndataset: d\nmethod: failing\n", [(4, "method", "plugin-broken")]),
    ("task: read\nmodel: m\ndataset: d\nmethod: scales\n", [(4, "method", "plugin-not-installed")]),
    ("task: read\nmodel: m\ndataset: d\nmethod: {r: 3}\n", [(4, "method.name", "missing")]),
    (
        "MODEL_PATH: m\nLOCAL_MODEL_PATH: /\ntask: read\ndataset: d\nmethod: whole\n",
        [(1, "MODEL_PATH", "invalid-value")],
    ),
]
"""Whole configurations, and all that is wrong with each."""

COMBINATIONS = [
    ("task: look\nmodel: m\ndataset: d\nmethod: whole\nsize: 1\nDDP: true\n", 6, "DDP"),
    ("task: read\nmodel: m\ndataset: d\nmethod: one_engine\n", 4, "method"),
    ("task: look\nmodel: m\ndataset: d\nmethod: low_rank\nsize: 1\nload_in_4bit: true\n", 6, "load_in_4bit"),
    (
        "task: look\nmodel: {name: m, library: TIMM}\ndataset: d\nmethod: whole\nsize: 1\nsave: pretrained\n",
        6,
        "save",
    ),
    ("task: read\nmodel: m\ndataset: d\nmethod: whole\nload_in_4bit: true\n", 5, "load_in_4bit"),
    ("task: read\nmodel: m\ndataset: d\nmethod: whole\nLAST_LAYER_TUNING: false\n", 5, "LAST_LAYER_TUNING"),
    ("task: read\nmodel: m\ndataset: d\nmethod: head_only\nLAST_LAYER_TUNING: 'False'\n", 5, "LAST_LAYER_TUNING"),
    (
        "task: read\nmodel: m\ndataset: d\nFULL_FINE_TUNING: 'True'\nLAST_LAYER_TUNING: 'True'\n",
        5,
        "LAST_LAYER_TUNING",
    ),
    ("task: read\nmodel: m\ndataset: d\nmethod: whole\nFULL_FINE_TUNING: false\n", 5, "FULL_FINE_TUNING"),
]
"""Whole configurations whose parts cannot work together, and the line and key that is told so."""

JOINED = [
    ("LR: 1\ntraining: {lr: 1}", 2, "training.lr", "given-twice"),
    ("method: {name: low_rank, r: 1}\nr: 1", 2, "r", "given-twice"),
    ("method: low_rank\nPEFT_METHOD: Low-Rank", 2, "PEFT_METHOD", "given-twice"),
    ("SAVE_METHOD: a\nsave: b", 2, "save", "given-twice"),
    ("FULL_FINE_TUNING: true\nmethod: low_rank", 2, "method", "given-twice"),
    ("load_in_4bit: 'True'\nload_in_8bit: true", 2, "load_in_8bit", "given-twice"),
    ("training: 5", 1, "training", "wrong-type"),
    ("training: lots", 1, "training", "wrong-type"),
    ("method: [low_rank]", 1, "method", "wrong-type"),
    ("DDP: maybe", 1, "DDP", "wrong-type"),
]
"""What cannot be joined into the nested form: a text, the line, the key and the code."""

TWO_OF_ONE_NAME = fake_plugins.registry((Kind.METHOD, fake_plugins.method("low_rank")))
"""The fake plugins, and another method of a name that they have."""

OVERRIDES = [
    (["lr"], "", "invalid-override"),
    (["=3"], "", "invalid-override"),
    (["training..lr=3"], "", "invalid-override"),
    ([".lr=3"], "", "invalid-override"),
    (["a=[1"], "a", "invalid-syntax"),
    (["a=x: y: z"], "a", "invalid-syntax"),
    (["a=1", "a=2"], "a", "given-twice"),
    (["a=1", "a.b=2"], "a.b", "given-twice"),
    (["a.b=1", "a=2"], "a", "given-twice"),
    (["a={x: 1, x: 2}"], "a", "given-twice"),
    (["a=!foo 1"], "a", "invalid-syntax"),
]
"""Overrides that cannot be read, the key and the code."""

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)
)
UNREADABLE = [
    ("f.yaml", "", None, "empty-file"),
    ("f.yaml", "# nothing\n---\n", None, "empty-file"),
    ("f.yaml", "null", None, "empty-file"),
    ("f.yaml", "- a\n- b\n", 1, "invalid-syntax"),
    ("f.yaml", "\njust text\n", 2, "invalid-syntax"),
    ("f.yaml", "a: 1\n---\nb: 2\n", 2, "invalid-syntax"),
    ("f.yaml", "a: 1\n  b: 2\n", 2, "invalid-syntax"),
    ("f.yaml", "a:\n    b: 1\n  c: 2\n", 3, "invalid-syntax"),
    ("f.yaml", "a: 1\nb\nc: 2\n", 2, "invalid-syntax"),
    ("f.yaml", "a:\n\tb: 1\n", 2, "invalid-syntax"),
    ("f.yaml", "a: 'x' y\n", 1, "invalid-syntax"),
    ("f.yaml", "a: [1, 2\nb: 3\n", 2, "invalid-syntax"),
    ("f.yaml", "a: 'open\nb: 1\n", 1, "invalid-syntax"),
    ("f.yaml", "a: @x\n", 1, "invalid-syntax"),
    ("f.yaml", "a: *nowhere\n", 1, "invalid-syntax"),
    ("f.yaml", "b: 1\na: &x [*x]\n", 2, "invalid-syntax"),
    ("f.yaml", LAUGHS, 1, "invalid-syntax"),
    ("f.yaml", "a: " + "[" * 500, 1, "invalid-syntax"),
    ("f.yaml", "a: 1\nb: \x01\n", 2, "invalid-syntax"),
    ("f.yaml", 'a: "\\UFFFFFFFF"', None, "invalid-syntax"),
    ("f.json", "", None, "empty-file"),
    ("f.json", "[1]", 1, "invalid-syntax"),
    ("f.json", '{"a": 1,\n "b": 2,}', 2, "invalid-syntax"),
    ("f.json", '{"a" 1}', 1, "invalid-syntax"),
    ("f.json", '{"a": 1 "b": 2}', 1, "invalid-syntax"),
    ("f.json", '{"a": [1 2]}', 1, "invalid-syntax"),
    ("f.json", '{"a":\n tru}', 2, "invalid-syntax"),
    ("f.json", '{"a": NaN}', 1, "invalid-syntax"),
    ("f.json", '{"a": 1} x', 1, "invalid-syntax"),
    ("f.json", '{"a": "x', 1, "invalid-syntax"),
    ("f.json", '{"a": "\\ud800"}', 1, "invalid-syntax"),
    ("f.json", '{"a": ' + "9" * 5000 + "}", 1, "invalid-syntax"),
    ("f.json", '{"a": ' + "[" * 500, 1, "invalid-syntax"),
    ("f.json", "a: 1", 1, "invalid-syntax"),
]
"""Files that cannot be read at all: the name, the text, the line and the code."""

READABLE = [
    ("a: !python/object:os.system 1", 1),
    ("a: 1\nb: !!python/name:os.system ''", 2),
    ("a: !!set {x, y}", 1),
    ("a: !!binary aGk=", 1),
    ("a: !!int x", 1),
    ("a: !!bool yes", 1),
    ("a: 1\n? [x]\n: 2", 2),
    ("? {x: 1}\n: 2", 1),
    ("a: " + "9" * 5000, 1),
    ("a: 0x" + "f" * 5000, 1),
    ('a: "\\ud800"', 1),
]
"""Mistakes in YAML that leave the rest readable, and their line."""


def problems_by_mistake(folder: Path) -> Iterator[tuple[str, list[Problem]]]:
    """Every mistake above, in a few words, with what is said of it.

    Args:
        folder: an empty one, for configuration files.
    """
    for text, *_ in (*WRONG_VALUES, *UNKNOWN_KEYS):
        yield text, problems_of(f"{BASE}{text}\n", folder)
    for text, *_ in (*WHOLE, *COMBINATIONS):
        yield text, problems_of(text, folder)
    yield "a name that two distributions offer", check(parse(BASE, "f.yaml").data, (), TWO_OF_ONE_NAME)
    for text, *_ in JOINED:
        yield text, list(to_nested(parse(text, "f.yaml"), TABLE).problems)
    for text, _ in READABLE:
        yield text, list(parse(text, "f.yaml").problems)
    for name, text, *_ in UNREADABLE:
        yield text, _refused(partial(parse, text, name))
    for arguments, *_ in OVERRIDES:
        yield " ".join(arguments), _refused(partial(parse_overrides, arguments))


def _refused(call: Callable[[], object]) -> list[Problem]:
    """What the error of a call says."""
    try:
        call()
    except ConfigError as error:
        return list(error.problems)
    return []
