"""``docs/writing_a_plugin.md`` is true: signatures and fields are the real ones, and its example works."""

from __future__ import annotations

import inspect
import os
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest
from cli_runner import adapt
from fake_distributions import install

from adapt_core import AdaptError, apply_method, hookspecs, interfaces, kinds, options, run
from adapt_core.hookspecs import hookimpl
from adapt_core.kinds import Kind, PluginSpec
from adapt_core.plugins.discovery import HOOKS
from adapt_core.testing import MODELS

PAGE = Path(__file__).parents[3] / "docs" / "writing_a_plugin.md"
TEXT = PAGE.read_text(encoding="utf-8")
HOOKSPECS = [value for name, value in vars(hookspecs).items() if name.startswith("adapt_") and callable(value)]
SPECS = [PluginSpec, *kinds.SPEC_TYPES.values()]
PROTOCOLS = [getattr(interfaces, kind.value.capitalize()) for kind in Kind] + [interfaces.Engine, interfaces.World]


def unfolded(text: str) -> str:
    """The text with signatures that stand on several lines in one."""

    def joined(found: re.Match[str]) -> str:
        return f"({' '.join(found[1].split()).removesuffix(',')})"

    return re.sub(r"\(\n((?: +.+\n)+)\)", joined, text)


def signature(function: Any) -> str:
    """A function's definition as the page writes it."""
    text = str(inspect.signature(function)).replace("'", "").replace("Ellipsis", "...")
    return f"def {function.__name__}{text}: ..."


def _default(field: Field[Any]) -> str:
    return "" if field.default is MISSING else repr(field.default)


def section(title: str) -> str:
    """The text below a heading, up to the next one of its level or above."""
    level = re.search(rf"^(#+) {re.escape(title)}$", TEXT, re.MULTILINE)
    assert level, f"no heading {title!r}"
    return re.split(rf"^#{{1,{len(level[1])}}} ", TEXT[level.end() :], maxsplit=1, flags=re.MULTILINE)[0]


def files() -> dict[str, str]:
    """The files of the example, by their path."""
    return dict(re.findall(r"^`([\w./]+)`:\n\n```\w+\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL))


def test_there_is_a_hook_for_every_kind() -> None:
    assert {function.__name__ for function in HOOKSPECS} == set(HOOKS)
    assert len(HOOKSPECS) == len(Kind) == 5


@pytest.mark.parametrize("hook", HOOKSPECS, ids=lambda hook: hook.__name__)
def test_every_hook_is_documented_with_its_signature_and_meaning(hook: FunctionType) -> None:
    text = section("The hooks")
    assert signature(hook) in text
    assert str(hook.__doc__).replace("``", "`") in text


def test_the_page_documents_no_hook_that_does_not_exist() -> None:
    assert set(re.findall(r"def (adapt_\w+)", TEXT)) == set(HOOKS)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.__name__)
def test_every_field_of_a_spec_is_documented_with_its_type_and_default(spec: type[PluginSpec]) -> None:
    inherited = {field.name for field in fields(PluginSpec)} if spec is not PluginSpec else set()
    expected = {
        field.name: tuple(text.replace("'", '"') for text in (str(field.type), _default(field)))
        for field in fields(spec)
        if field.name not in inherited
    }
    rows = re.findall(r"^\| `(\w+)` \| `(.+?)` \| (?:`(.+?)`)? ?\| .+ \|$", section(spec.__name__), re.MULTILINE)
    assert {name: (kind.replace(r"\|", "|"), default) for name, kind, default in rows} == expected


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.__name__)
def test_every_interface_is_documented_with_its_signatures(protocol: type) -> None:
    expected = [signature(value) for value in vars(protocol).values() if isinstance(value, FunctionType)]
    expected = [line for line in expected if re.match(r"def (__init__|[a-z])", line)]
    assert len(expected) >= 2
    assert re.findall(r"^def .+$", unfolded(section(protocol.__name__)), re.MULTILINE) == expected


def test_option_is_documented_with_its_signature() -> None:
    assert signature(options.option) in unfolded(section("Options"))


# ---- the example --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bitfit(toy: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The page's example, installed as it stands there; after the toy task, whose path would go with its own."""
    site = tmp_path_factory.mktemp("bitfit-site")
    written = files()
    project = tomllib.loads(written.pop("pyproject.toml"))["project"]
    modules = {name.removeprefix("src/").removesuffix(".py").replace("/", "."): text for name, text in written.items()}
    assert set(modules) == {"adapt_biases.plugin", "adapt_biases.options", "adapt_biases.method"}
    modules["adapt_biases.__init__"] = ""
    install(site, project["name"], project["version"], modules, project["entry-points"]["adapt"])
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        patch.setenv("PYTHONPATH", str(site), prepend=os.pathsep)
        yield site
    for module in [name for name in sys.modules if name.startswith("adapt_biases")]:
        del sys.modules[module]


def test_the_example_is_short() -> None:
    lines = files()["src/adapt_biases/method.py"].split("class Biases", 1)[1].splitlines()
    assert len([line for line in lines if line.strip()]) <= 36


@pytest.mark.usefixtures("bitfit")
def test_the_example_is_listed_and_explained_with_its_options() -> None:
    (row,) = [row for row in adapt("plugins", "method", "--json").json if row["name"] == "biases"]
    assert (row["distribution"], row["version"], row["status"]) == ("adapt-biases", "1.0", "ok")
    found = adapt("explain", "method", "biases", "--json").json
    assert {option["key"]: option["flat"] for option in found["options"]["method"]} == {
        "norms": "BIASES_NORMS",
        "train_head": "LAST_LAYER_TUNING",
        "train_batch_norm": None,
    }


@pytest.fixture
def classifier() -> Any:
    from transformers import BertConfig, BertForSequenceClassification

    shape = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 12}
    return BertForSequenceClassification(BertConfig(vocab_size=20, num_labels=3, **shape))


@pytest.mark.usefixtures("bitfit")
def test_the_example_trains_the_biases_and_the_head(classifier: Any) -> None:
    module = apply_method(classifier, "biases")
    trained = sum(each.numel() for each in module.parameters() if each.requires_grad)
    # Biases of query, key, value and output (8 each), of the two inner layers (12 and 8), of three norms (8 each), of
    # the pooler (8); the head of 3 labels.
    assert trained == 4 * 8 + 12 + 8 + 3 * 8 + 8 + (3 * 8 + 3)


@pytest.mark.usefixtures("bitfit")
def test_the_example_obeys_its_option(classifier: Any) -> None:
    module = apply_method(classifier, "biases", norms=False)
    trained = {name for name, each in module.named_parameters() if each.requires_grad}
    assert not any("LayerNorm" in name for name in trained)
    assert "bert.encoder.layer.0.attention.self.query.bias" in trained


@pytest.mark.usefixtures("bitfit")
def test_the_example_refuses_a_model_without_biases() -> None:
    from torch import nn

    with pytest.raises(AdaptError, match="biases: the model has no biases"):
        apply_method(nn.Sequential(nn.Linear(2, 2, bias=False)), "biases")


@pytest.mark.usefixtures("bitfit")
def test_the_example_refuses_a_model_of_which_it_would_train_the_head_alone() -> None:
    """Llama's layers have no biases; the new head is trained whatever the method."""
    from transformers import LlamaConfig, LlamaForSequenceClassification

    sizes = {
        "vocab_size": 9,
        "hidden_size": 8,
        "intermediate_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
    }
    module = LlamaForSequenceClassification(LlamaConfig(**sizes))  # type: ignore[arg-type]
    with pytest.raises(AdaptError, match="biases: the model has no biases outside its head"):
        apply_method(module, "biases")


@pytest.mark.usefixtures("bitfit", "reload_here")
def test_the_example_runs_and_what_it_saved_is_what_was_trained(toy_config: Any) -> None:
    """A whole run, with the reload."""
    result = run(toy_config(method={"name": "Biases"}, training={"max_steps": 3}))
    assert result["status"] == "completed"
    assert result["reload_difference"]["model"] < 1e-6
    assert result["parameters"]["trainable"] < result["parameters"]["total"] / 4


@pytest.mark.usefixtures("bitfit")
@pytest.mark.parametrize("model", MODELS)
def test_the_example_keeps_the_promises_of_a_method(model: str, tmp_path: Path) -> None:
    """The page's contract test, as it stands there."""
    code = section("Method").split("```python\n")[2].split("```")[0]
    names: dict[str, Any] = {}
    exec(code, names)
    names["TestBiases"]().test_it_keeps_its_promises_or_refuses_with_a_reason(MODELS[model], tmp_path)


def test_a_function_that_is_not_marked_would_be_noticed() -> None:
    """What the page's example calls a hook really is one."""
    source = files()["src/adapt_biases/plugin.py"]
    scope: dict[str, Any] = {}
    exec(compile(source, "plugin.py", "exec"), scope)
    assert hookimpl.project_name == "adapt"
    assert hasattr(scope["adapt_methods"], "adapt_impl")
