"""From the flat form to the nested one."""

from __future__ import annotations

from typing import Any

import fake_plugins
import pytest
from mistakes import JOINED, TABLE

from adapt_core.config.file import Document, parse, parse_overrides
from adapt_core.config.flat import Nested, Table, core_table, to_nested
from adapt_core.config.sections import ROOT, SECTIONS
from adapt_core.engines.trainer.options import TrainerOptions
from adapt_core.errors import AdaptError
from adapt_core.kinds import Kind
from adapt_core.options import Options, option

COMMON = {
    # The tables of parameters that a configuration may use at its top level, and where each belongs.
    "DO_TRAIN": "training.do_train",
    "DO_EVAL": "training.do_eval",
    "NUM_WORKERS": "training.num_workers",
    "BATCH_SIZE": "training.batch_size",
    "EPOCHS": "training.epochs",
    "OPTIMIZER": "training.optimizer",
    "LR": "training.lr",
    "SCHEDULER_TYPE": "training.scheduler",
    "BEGIN": "training.begin",
    "END": "training.end",
    "T_MAX": "training.t_max",
    "WARMUP": "training.warmup",
    "WAMRUP": "training.warmup",  # as one of the pages spells it
    "WARMUP_RATIO": "training.warmup_ratio",
    "WAMRUP_RATIO": "training.warmup_ratio",
    "WARMUP_ITERS": "training.warmup_iters",
    "MILESTONES": "training.milestones",
    "GAMMA": "training.gamma",
    "WEIGHT_DECAY": "training.weight_decay",
    "BETA1": "training.beta1",
    "BETA2": "training.beta2",
    "ADAM_EPS": "training.adam_eps",
    "INTERVAL": "training.interval",
    "INTERVAL_STEPS": "training.interval_steps",
    "NO_OF_CHECKPOINTS": "training.checkpoints",
    "FP16": "training.fp16",
    "RESUME_FROM_CHECKPOINT": "training.resume",
    "GRADIENT_ACCUMULATION_STEPS": "training.gradient_accumulation_steps",
    "GRADIENT_CHECKPOINTING": "training.gradient_checkpointing",
    "SAVE_METHOD": "save.name",
    "TASK": "task.name",
    "PEFT_METHOD": "method.name",
    "LAST_LAYER_TUNING": "method.train_head",
    "MODEL_PATH": "model.name",
    "LOCAL_MODEL_PATH": "model.path",
    "Library": "model.library",
    "FRAMEWORK": "model.library",
    "DATASET": "dataset.name",
    "DATASET_CONFIG": "dataset.config",
    "CUSTOM_DATASET_PATH": "dataset.path",
    "DATA_SPLIT": "dataset.validation_share",
    "MAX_TRAIN_SAMPLES": "dataset.max_train_samples",
    "MAX_EVAL_SAMPLES": "dataset.max_eval_samples",
    "SEED": "seed",
    "OUTPUT_DIR": "output_dir",
}
DEFAULTS = {
    "DO_TRAIN": True,
    "DO_EVAL": True,
    "NUM_WORKERS": 4,
    "BATCH_SIZE": 16,
    "EPOCHS": 2,
    "OPTIMIZER": "adamw_torch",
    "LR": 1e-4,
    "SCHEDULER_TYPE": "linear",
    "WEIGHT_DECAY": 0.0,
    "BETA1": 0.9,
    "BETA2": 0.999,
    "ADAM_EPS": 1e-8,
    "INTERVAL": "epoch",
    "INTERVAL_STEPS": 100,
    "NO_OF_CHECKPOINTS": 5,
    "FP16": False,
    "RESUME_FROM_CHECKPOINT": False,
    "GRADIENT_ACCUMULATION_STEPS": 1,
    "GRADIENT_CHECKPOINTING": False,
}


@pytest.fixture
def table() -> Table:
    return TABLE


def nested(table: Table, text: str, *overrides: str) -> Nested:
    return to_nested(parse(text, "f.yaml"), table, parse_overrides(overrides))


def places(found: Nested) -> list[tuple[int | None, str, str]]:
    return [(problem.line, problem.key, problem.code) for problem in found.problems]


def test_the_core_and_the_trainer_have_every_common_parameter_and_no_other() -> None:
    table = core_table(()).with_options("training", TrainerOptions)
    assert {flat: ".".join(path) for flat, path in table.names.items()} == COMMON


@pytest.mark.parametrize(("flat", "default"), DEFAULTS.items())
def test_a_common_parameter_has_the_default_of_its_table(flat: str, default: Any) -> None:
    _, key = COMMON[flat].split(".")
    assert TrainerOptions.model_fields[key].default == default


def test_flat_and_nested_forms_give_the_same(table: Table) -> None:
    flat = nested(table, "TASK: read\nmethod: low_rank\nr: 4\nLR: 1e-3\nMODEL_PATH: x\nSEED: 3\nSAVE_METHOD: none\n")
    deep = nested(
        table,
        "task: {name: read}\nmethod: {name: low_rank, r: 4}\ntraining: {lr: 1e-3}\nmodel: {name: x}\n"
        "seed: 3\nsave: none",
    )
    assert (
        flat.data
        == deep.data
        == {
            "task": {"name": "read"},
            "method": {"name": "low_rank", "r": 4},
            "training": {"lr": 1e-3},
            "model": {"name": "x"},
            "seed": 3,
            "save": {"name": "none"},
        }
    )
    assert flat.problems == deep.problems == ()


def test_every_nested_key_remembers_how_and_where_it_was_written(table: Table) -> None:
    found = nested(table, "method: low_rank\nr: 4\ntraining:\n  lr: 1\n  trackers: [x]\n", "BATCH_SIZE=3")

    def place(*path: Any) -> tuple[Any, ...]:
        problem = found.problem(path, "wrong-type", "wrong")
        return problem.file, problem.line, problem.column, problem.key

    assert place("method", "name") == ("f.yaml", 1, 1, "method")
    assert place("method", "r") == ("f.yaml", 2, 1, "r")
    assert place("training", "lr") == ("f.yaml", 4, 3, "training.lr")
    assert place("training", "trackers", 0) == ("f.yaml", 5, 14, "training.trackers[0]")
    assert place("training", "batch_size") == ("command line", None, None, "BATCH_SIZE")
    assert place("training", "nothing") == ("f.yaml", 3, 1, "training.nothing")
    assert place("dataset", "path") == ("f.yaml", None, None, "dataset.path")


@pytest.mark.parametrize(("text", "line", "key", "code"), JOINED)
def test_what_cannot_be_joined_is_a_problem_of_the_second(
    table: Table, text: str, line: int, key: str, code: str
) -> None:
    assert places(nested(table, text)) == [(line, key, code)]


def test_a_switch_chooses_its_plugin_when_true_and_nothing_when_false_or_empty(table: Table) -> None:
    assert nested(table, 'FULL_FINE_TUNING: "True"\nDDP: true').data == {
        "method": {"name": "whole"},
        "launch": {"name": "many"},
    }
    off = nested(table, 'FULL_FINE_TUNING: "False"\nload_in_4bit:\nmethod: low_rank')
    assert off.data == {"method": {"name": "low_rank"}}
    assert [(switch.plugin, origin.key) for switch, origin in off.denials] == [("whole", "FULL_FINE_TUNING")]


def test_an_empty_section_is_an_absent_one(table: Table) -> None:
    assert nested(table, "training:\nmethod: low_rank\ndataset: ~").data == {"method": {"name": "low_rank"}}


def test_keys_that_are_neither_are_kept_apart(table: Table) -> None:
    found = nested(table, "TASK: read\nBATCH: 3\n1: 2\nlr: 1")
    assert found.data == {"task": {"name": "read"}}
    assert [origin.key for origin in found.unknown] == ["BATCH", "1", "lr"]


@pytest.mark.parametrize(
    ("text", "overrides", "expected"),
    [
        ("LR: 1", ["training.lr=2"], {"training": {"lr": 2}}),
        ("training: {lr: 1, epochs: 3}", ["LR=2"], {"training": {"lr": 2, "epochs": 3}}),
        ("LR: 1", ["LR=2"], {"training": {"lr": 2}}),
        ("LR: 1\ntraining: {lr: 1}", ["LR=2"], {"training": {"lr": 2}}),
        ("method: low_rank\nr: 1", ["method=whole"], {"method": {"name": "whole", "r": 1}}),
        ("method: {name: low_rank, r: 1}", ["method.name=whole"], {"method": {"name": "whole", "r": 1}}),
        ("FULL_FINE_TUNING: true", ["method=low_rank"], {"method": {"name": "low_rank"}}),
        ("method: low_rank", ["FULL_FINE_TUNING=true"], {"method": {"name": "whole"}}),
        ("FULL_FINE_TUNING: true", ["FULL_FINE_TUNING=false"], {}),
        ("method: low_rank", ["FULL_FINE_TUNING=false"], {"method": {"name": "low_rank"}}),
        ("method: low_rank", ["method.r=3"], {"method": {"name": "low_rank", "r": 3}}),
        ("", ["SEED=3", "task=read"], {"seed": 3, "task": {"name": "read"}}),
        ("LR: 1", ["LR="], {"training": {"lr": None}}),
        (
            "training: {optimizer_options: {a: 1, b: {c: 1, d: 2}}}",
            ["training.optimizer_options.b.c=3", "training.optimizer_options.e=4"],
            {"training": {"optimizer_options": {"a": 1, "b": {"c": 3, "d": 2}, "e": 4}}},
        ),
        ("training: {trackers: [a, b]}", ["training.trackers=[c]"], {"training": {"trackers": ["c"]}}),
        ("training: 5", ["training.lr=1"], {"training": {"lr": 1}}),
    ],
)
def test_an_override_replaces_the_value_whichever_form_either_uses(
    table: Table, text: str, overrides: list[str], expected: dict[str, Any]
) -> None:
    document = parse(text, "f.yaml") if text else Document({}, "f.yaml")
    assert to_nested(document, table, parse_overrides(overrides)).data == expected


def test_within_a_mapping_that_an_override_was_merged_into_each_key_has_its_own_place(table: Table) -> None:
    text = "training:\n  optimizer_options:\n    a: 1\n    b: 2\n"
    found = nested(table, text, "training.optimizer_options.b=3")
    assert found.problem(("training", "optimizer_options", "a"), "missing", "").line == 3
    assert found.problem(("training", "optimizer_options", "b"), "missing", "").file == "command line"


def test_two_overrides_of_one_parameter_are_a_problem(table: Table) -> None:
    found = nested(table, "LR: 1", "LR=2", "training.lr=3")
    assert places(found) == [(None, "training.lr", "given-twice")]


def test_the_document_is_left_as_it_was(table: Table) -> None:
    document = parse("training: {optimizer_options: {a: 1}}\nmethod: low_rank", "f.yaml")
    to_nested(document, table, parse_overrides(["training.optimizer_options.a=2", "method.r=3"]))
    assert document.data == {"training": {"optimizer_options": {"a": 1}}, "method": "low_rank"}


class Claims(Options):
    mine: int = option(1, flat="LR", help="Takes the learning rate's name.")


class ClaimsSection(Options):
    mine: int = option(1, flat="training", help="Takes a section's name.")


class ClaimsSwitch(Options):
    mine: int = option(1, flat="DDP", help="Takes a switch's name.")


@pytest.mark.parametrize("model", [Claims, ClaimsSection, ClaimsSwitch])
def test_a_flat_name_that_is_taken_is_refused(table: Table, model: type[Options]) -> None:
    with pytest.raises(AdaptError, match=r"method\.mine stands for .* already"):
        table.with_options("method", model)


def test_a_switch_that_two_plugins_claim_is_a_problem_only_where_it_is_used() -> None:
    specs = [*fake_plugins.PLUGINS, (Kind.METHOD, fake_plugins.method("rival", switch="FULL_FINE_TUNING"))]
    table = core_table(specs)
    assert nested(table, "method: rival").problems == ()
    (problem,) = nested(table, "FULL_FINE_TUNING: true").problems
    assert problem.code == "plugin-ambiguous"
    assert "whole" in problem.message and "rival" in problem.message


def test_no_section_hides_a_key_of_the_top_level() -> None:
    assert not set(SECTIONS) & set(ROOT.model_fields)
