"""``adapt plugins`` and ``adapt explain``."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_runner import adapt
from fake_distributions import install, method_plugin

from adapt_core.methods.lora.options import LoraOptions
from adapt_core.options import flat_name

KEYS = ["kind", "name", "summary", "distribution", "version", "status", "error"]

OPTIONS = """
from typing import Annotated, Any, Literal
from adapt_core.options import Options, option

class Odd(Options):
    needed: int = option(help="Must be given.", ge=1, le=9)
    many: list[str] | str | None = option(None, flat="MANY", help="Names.")
    table: dict[str, list[float]] = option({"a": [1.5]}, help="A table.")
    choice: Literal["on", "off", 3] = option("on", help="A choice.")
    number: float = option(1e-7, gt=0, help="A small number.")
    word: str = option("null", min_length=1, help="A word.")
    anything: Any = option(None, help="Anything.")
    switch: bool = option(True, flat="SWITCH", help="On or off.")
"""


def test_plugins_as_json_is_a_list_with_exactly_these_keys() -> None:
    rows = adapt("plugins", "--json").json
    assert all(list(row) == KEYS for row in rows)
    (lora,) = [row for row in rows if row["name"] == "lora"]
    assert (lora["kind"], lora["distribution"], lora["status"], lora["error"]) == ("method", "adapt-core", "ok", None)
    assert lora["summary"].startswith("Low-rank")


def test_plugins_of_one_kind() -> None:
    rows = adapt("plugins", "SAVER", "--json").json
    assert {row["kind"] for row in rows} == {"saver"}
    assert {"state_dict", "safetensors"} <= {row["name"] for row in rows}


def test_plugins_for_people_is_one_line_each_without_a_terminal() -> None:
    lines = adapt("plugins", "method").out.splitlines()
    assert lines[0].split() == ["kind", "name", "summary", "distribution", "version", "status"]
    (line,) = [line for line in lines if " lora " in line]
    assert line.startswith("method")
    assert line.endswith("ok")
    assert "\x1b" not in "".join(lines)


def test_a_kind_of_which_nothing_is_installed_says_so() -> None:
    done = adapt("plugins", "quantizer", "--json")
    others = [row for row in done.json if row["kind"] == "quantizer"]
    if others:  # adapt-quant is installed
        assert {row["distribution"] for row in others} == {"adapt-quant"}
    else:
        assert adapt("plugins", "quantizer").err == "No quantizer is installed.\n"


def test_a_broken_plugin_is_listed_with_its_reason_and_the_command_succeeds(site: Path) -> None:
    install(site, "bad-dist", "0.7", {"bad_plugin": "import not_there_at_all"}, {"bad": "bad_plugin"})
    done = adapt("plugins", "--json")
    assert done.code == 0
    (row,) = [row for row in done.json if row["distribution"] == "bad-dist"]
    reason = "ModuleNotFoundError: No module named 'not_there_at_all'"
    assert row == {
        "kind": None,
        "name": "bad",
        "summary": "",
        "distribution": "bad-dist",
        "version": "0.7",
        "status": "broken",
        "error": reason,
    }
    assert f"broken: bad of bad-dist 0.7: {reason}" in adapt("plugins").out


def test_a_plugin_without_its_implementation_is_listed_as_broken(site: Path) -> None:
    source = method_plugin("hollow", target="hollow_package.method:Hollow")
    install(site, "hollow-dist", "1.0", {"hollow_plugin": source}, {"hollow": "hollow_plugin"})
    (row,) = [row for row in adapt("plugins", "--json").json if row["name"] == "hollow"]
    assert (row["kind"], row["status"]) == ("method", "broken")
    assert row["error"] == "cannot load hollow_package.method:Hollow: there is no module hollow_package.method"


def test_clashing_plugins_are_both_listed_as_broken(site: Path) -> None:
    for name in ("one", "two"):
        install(site, f"{name}-dist", "1.0", {f"{name}_plugin": method_plugin("same")}, {name: f"{name}_plugin"})
    rows = [row for row in adapt("plugins", "--json").json if row["name"] == "same"]
    assert [(row["distribution"], row["status"]) for row in rows] == [("one-dist", "broken"), ("two-dist", "broken")]
    assert rows[0]["error"] == "it is offered by one-dist 1.0 and by two-dist 1.0"


def test_explain_gives_every_option_with_type_default_flat_name_and_meaning() -> None:
    found = adapt("explain", "method", "LoRA", "--json").json
    options = {option["key"]: option for option in found["options"]["method"]}
    assert set(LoraOptions.model_fields) <= set(options)
    assert options["r"] == {
        "key": "r",
        "type": "whole number > 0",
        "required": False,
        "default": 8,
        "flat": "r",
        "meaning": "Rank of the update.",
    }
    for name, field in LoraOptions.model_fields.items():
        assert options[name]["default"] == field.default
        assert options[name]["flat"] == flat_name(field)
        assert options[name]["meaning"] == field.description
    assert found["works_with"]["learning_rate"] == 5e-4


def test_explain_says_that_the_head_may_be_trained_beside_an_adapter_only() -> None:
    def keys(method: str) -> list[str]:
        return [option["key"] for option in adapt("explain", "method", method, "--json").json["options"]["method"]]

    assert "train_head" in keys("lora")
    assert "train_head" not in keys("full")


def test_explain_for_people_shows_the_recommended_learning_rate_and_the_table() -> None:
    text = adapt("explain", "method", "lora").out
    assert "Recommended learning rate: 0.0005, 0.0002 for causal language models" in text
    assert "Layer types: Linear, Conv1D, Conv1d, Conv2d, Conv3d, Embedding" in text
    assert "Merges into the base's weights: yes\nStarts as the base model: yes\n" in text and "Support" not in text
    assert "Support: expert: it needs inputs" in adapt("explain", "method", "poly").out
    (line,) = [line for line in text.splitlines() if line.startswith("alpha ")]
    assert line.split("  ")[0] == "alpha"
    assert line.endswith("Scaling: the update is multiplied by alpha / r.")


def test_explain_puts_every_type_into_words(site: Path) -> None:
    source = method_plugin("odd", options="odd_options:Odd", aliases=("strange",), switch="ODD")
    install(site, "odd-dist", "1.0", {"odd_plugin": source, "odd_options": OPTIONS}, {"odd": "odd_plugin"})
    found = adapt("explain", "method", "strange", "--json").json
    types = {option["key"]: option["type"] for option in found["options"]["method"]}
    assert types == {
        "needed": "whole number >= 1 and <= 9",
        "many": "text or list of text, or null",
        "table": "mapping of text to list of number",
        "choice": "one of on, off, 3",
        "number": "number > 0",
        "word": "text that is not empty",
        "anything": "anything",
        "switch": "true or false",
        "train_head": "true or false, or null",
        "train_batch_norm": "true or false",
    }
    lines = adapt("explain", "method", "odd").out.splitlines()
    rows = {line.split()[0]: line for line in lines if line.strip()}
    assert "(required)" in rows["needed"]
    assert '{"a": [1.5]}' in rows["table"]
    assert '"null"' in rows["word"]
    assert "1e-07" in rows["number"]
    assert "Also chosen by: ODD: true" in lines
    assert "Also named: strange" in lines


def test_explaining_something_unknown_ends_with_2_and_the_nearest_name() -> None:
    done = adapt("explain", "saver", "safetensor")
    assert done.code == 2
    assert done.err == "Error: no saver named 'safetensor' is installed; did you mean 'safetensors'?\n"


@pytest.mark.parametrize("name", ["state_dict", "safetensors", "save_pretrained", "full_torch_model"])
def test_explain_says_of_a_saver_whether_loading_runs_code(name: str) -> None:
    expected = "yes" if name == "full_torch_model" else "no"
    assert f"Loading runs code (pickle): {expected}" in adapt("explain", "saver", name).out
