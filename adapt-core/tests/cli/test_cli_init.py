"""``adapt init``: the starter file, made out of the options' metadata."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from cli_runner import adapt
from fake_distributions import install, method_plugin, task_plugin

from adapt_core.config.sections import SECTIONS, DatasetOptions, ModelOptions, RootOptions, TrainingOptions
from adapt_core.kinds import Kind, MethodSpec
from adapt_core.methods.lora.options import LoraOptions
from adapt_core.plan.build import build_plan
from adapt_core.plugins.registry import Registry

OPTIONS = 'length: int | None = option(None, help="Longest text.")'
DATASET = 'column: str = option("text: it\'s #1", flat="COLUMN", help="The column.")'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with the paths that a starter file names, and an installed task ``tested``."""
    site, here = tmp_path / "site", tmp_path / "here"
    (here / "path/to/model").mkdir(parents=True)
    (here / "path/to/data").mkdir(parents=True)
    install(site, "tested-dist", "1.0", task_plugin("tested", OPTIONS, DATASET), {"tested": "tested_plugin"})
    monkeypatch.syspath_prepend(site)
    monkeypatch.chdir(here)
    before = set(sys.modules)
    yield here
    for module in set(sys.modules) - before:
        del sys.modules[module]


@pytest.mark.parametrize("method", ["lora", "LoRA", "full", "last_layer", "prompt_tuning"])
def test_a_starter_file_passes_check_once_its_paths_exist(folder: Path, method: str) -> None:
    done = adapt("init", "tested", "--method", method, "-o", "run.yaml")
    assert (done.code, done.err) == (0, "wrote run.yaml\n")
    assert adapt("check", "run.yaml").out == "run.yaml: no problems found\n"
    spec = Registry.load().get(Kind.METHOD, method).spec
    assert isinstance(spec, MethodSpec)
    assert build_plan(folder / "run.yaml").training.lr == spec.learning_rate


@pytest.mark.parametrize(("method", "rate"), [("full", 1e-5), ("lora", 2e-4), ("dora", 2e-4), ("ssf", 2e-3)])
def test_a_task_of_causal_models_gets_the_rate_for_them(
    method: str, rate: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"causal_{method}"
    plugin = task_plugin(name, OPTIONS, DATASET)
    plugin[f"{name}_plugin"] = plugin[f"{name}_plugin"].replace(
        "TaskSpec(\n", 'TaskSpec(\n        model_kind="causal",\n'
    )
    install(tmp_path, f"{name}-dist", "1.0", plugin, {name: f"{name}_plugin"})
    monkeypatch.syspath_prepend(tmp_path)
    assert re.search(rf"  lr: {rate:g} ", adapt("init", name, "--method", method).out)


def test_a_task_of_several_kinds_of_models_says_the_rate_of_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = task_plugin("both_kinds", OPTIONS, DATASET)
    plugin["both_kinds_plugin"] = plugin["both_kinds_plugin"].replace(
        "TaskSpec(\n", 'TaskSpec(\n        other_kinds=("causal",),\n'
    )
    install(tmp_path, "both-dist", "1.0", plugin, {"both": "both_kinds_plugin"})
    monkeypatch.syspath_prepend(tmp_path)
    meant = "Peak learning rate; 0.0005 is recommended for lora on encoders, 0.0002 on causal language models."
    assert re.search(rf"  lr: 0.0005 +# {meant}$", adapt("init", "both_kinds").out, re.MULTILINE)
    meant = "Peak learning rate; 0.002 is recommended for ssf."  # the same for both
    assert re.search(rf"  lr: 0.002 +# {meant}$", adapt("init", "both_kinds", "--method", "ssf").out, re.MULTILINE)


QUANTIZER = """\
from adapt_core.hookspecs import hookimpl
from adapt_core.kinds import QuantizerSpec

@hookimpl
def adapt_quantizers():
    yield QuantizerSpec(name="in_four", summary="A test.", target="fractions:Fraction", bits=4)
    yield QuantizerSpec(name="in_three", summary="A test.", target="fractions:Fraction", bits=3)
    yield QuantizerSpec(name="of_timm", summary="A test.", target="fractions:Fraction", bits=4, libraries=("timm",))
"""


def test_every_section_is_there_and_names_what_else_it_may_choose(folder: Path) -> None:
    install(folder.parent / "site", "few-dist", "1.0", {"few_plugin": QUANTIZER}, {"few": "few_plugin"})
    text = adapt("init", "tested").out
    assert list(yaml.safe_load(text)) == list(SECTIONS)
    quantization = text[text.index("quantization:") : text.index("training:")]
    assert "  name: none " in quantization
    assert "in_four" in quantization  # LoRA trains on 4 bits, not on 3, and the task's models are of transformers
    assert "in_three" not in quantization and "of_timm" not in quantization
    frozen = adapt("init", "tested", "--method", "full").out  # full fine-tuning trains on no quantized base
    assert "No quantizer that is installed goes with this task and this method." in frozen
    savers = set(Registry.load().names(Kind.SAVER)) - {"state_dict"}
    saving = text[text.index("save:") : text.index("launch:")]
    assert all(name in saving for name in savers | {"none"})


def test_before_its_paths_exist_check_names_exactly_those(folder: Path) -> None:
    (folder / "path/to/model").rmdir()
    (folder / "path/to/data").rmdir()
    adapt("init", "tested", "-o", "run.yaml")
    problems = adapt("check", "run.yaml", "--json").json["problems"]
    assert [problem["key"] for problem in problems] == ["model.path", "dataset.path"]


def test_every_option_is_there_with_its_meaning(folder: Path) -> None:
    text = adapt("init", "tested").out
    for model in (TrainingOptions, ModelOptions, DatasetOptions, RootOptions, LoraOptions):
        for name, field in model.model_fields.items():
            meaning = re.escape(str(field.description)) if name != "lr" else ""
            assert re.search(rf"^ *(# )?{name}: .*{meaning}$", text, re.MULTILINE), name
    assert re.search(r"^  lr: 0\.0005 +# Peak learning rate; 0\.0005 is recommended for lora\.$", text, re.MULTILINE)
    assert re.search(r"^  # length: null +# Longest text\.$", text, re.MULTILINE)


@pytest.mark.parametrize("method", ["lora", "full", "last_layer"])
def test_what_is_shown_behind_a_hash_is_the_default(folder: Path, method: str) -> None:
    """Taking away every ``# `` before a key changes nothing."""
    adapt("init", "tested", "--method", method, "-o", "run.yaml")
    text = (folder / "run.yaml").read_text(encoding="utf-8")
    uncommented = re.sub(r"^( *)# (\w+: )", r"\1\2", text, flags=re.MULTILINE)
    assert uncommented.count("\n") == text.count("\n")
    assert len(re.findall(r"^ *\w+: ", uncommented, re.MULTILINE)) > 40
    (folder / "all.yaml").write_text(uncommented, encoding="utf-8")
    plain, full = build_plan(folder / "run.yaml").canonical(), build_plan(folder / "all.yaml").canonical()
    del plain["output_dir"], full["output_dir"]  # by default named after the file
    assert full == plain


def test_a_required_option_is_set_to_nothing_so_that_check_asks_for_it(folder: Path) -> None:
    source = method_plugin("needy", options="needy_options:Needy")
    options = "from adapt_core.options import Options, option\nclass Needy(Options):\n"
    options += "    rank: int = option(help='The rank.', gt=0)\n"
    modules = {"needy_plugin": source, "needy_options": options}
    install(folder.parent / "site", "needy-dist", "1.0", modules, {"needy": "needy_plugin"})
    adapt("init", "tested", "--method", "needy", "-o", "run.yaml")
    text = (folder / "run.yaml").read_text(encoding="utf-8")
    assert re.search(r"^  rank: +# required, whole number > 0: The rank\.$", text, re.MULTILINE)
    (problem,) = adapt("check", "run.yaml", "--json").json["problems"]
    assert problem["key"] == "method.rank"


def test_it_never_overwrites(folder: Path) -> None:
    (folder / "run.yaml").write_text("mine", encoding="utf-8")
    done = adapt("init", "tested", "-o", "run.yaml")
    assert done.code == 2
    assert "run.yaml exists and is not overwritten" in done.err
    assert (folder / "run.yaml").read_text(encoding="utf-8") == "mine"


def test_an_unknown_task_or_method_is_refused(folder: Path) -> None:
    assert "did you mean 'tested'?" in adapt("init", "testd").err
    assert adapt("init", "testd").code == 2
    assert "did you mean 'lora'?" in adapt("init", "tested", "--method", "lorra").err
    both = adapt("init", "testd", "--method", "lorra").err
    assert "did you mean 'tested'?" in both
    assert "did you mean 'lora'?" in both
    assert list(folder.glob("*.yaml")) == []


def test_a_dash_is_standard_output(folder: Path) -> None:
    assert adapt("init", "tested", "-o", "-").out == adapt("init", "tested").out != ""
    assert not (folder / "-").exists()
