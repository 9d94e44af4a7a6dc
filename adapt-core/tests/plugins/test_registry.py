"""The registry, with distributions that are really installed: good, broken, clashing and mistyped ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from fake_distributions import Install, method_plugin

from adapt_core.errors import UsageError
from adapt_core.kinds import Kind, MethodSpec
from adapt_core.plugins.registry import Broken, Entry, Registry


def broken(registry: Registry, distribution: str) -> Broken:
    (found,) = [one for one in registry.broken if one.distribution == distribution]
    return found


def test_the_core_offers_its_own_plugins_through_its_entry_point() -> None:
    registry = Registry.load()
    own = {(entry.kind.value, entry.spec.name) for entry in registry.entries() if entry.distribution == "adapt-core"}
    assert own >= {("method", "full"), ("method", "last_layer"), ("method", "lora"), ("launcher", "local")}
    assert set(registry.names(Kind.SAVER)) >= {"state_dict", "safetensors", "save_pretrained", "full_torch_model"}
    assert not [one for one in registry.broken if one.distribution == "adapt-core"]


def test_every_installed_plugin_can_be_used() -> None:
    """Every option model and implementation that Adapt's own distributions name is there."""
    registry = Registry.load()
    first_party = [entry for entry in registry.examined() if entry.distribution.startswith("adapt-")]
    assert len(first_party) >= 8
    assert {entry.spec.name: entry.error for entry in first_party if entry.error} == {}


def test_a_good_plugin_is_found_with_its_distribution(fake: Install) -> None:
    fake("good-dist", {"good_plugin": method_plugin("good", aliases=("Very Good",))}, version="2.3")
    registry = Registry.load()
    entry = registry.get(Kind.METHOD, "good")
    assert (entry.kind, entry.spec.name, entry.distribution, entry.version) == (Kind.METHOD, "good", "good-dist", "2.3")
    assert isinstance(entry.spec, MethodSpec)
    assert entry.error is None
    assert "good" in registry.names(Kind.METHOD)
    from fractions import Fraction

    assert registry.load_target(entry) is Fraction
    assert registry.load_target(entry.spec) is Fraction


@pytest.mark.parametrize("name", ["good", "GOOD", " Good ", "very good", "Very-Good", "VERY_GOOD"])
def test_names_and_aliases_ignore_case_and_separators(fake: Install, name: str) -> None:
    fake("good-dist", {"good_plugin": method_plugin("good", aliases=("Very Good",))})
    assert Registry.load().get(Kind.METHOD, name).spec.name == "good"


def test_a_switch_that_is_a_parameter_of_the_core_is_reported_and_hurts_nothing_else(fake: Install) -> None:
    from adapt_core.plan.build import check

    fake("bad-dist", {"bad_plugin": method_plugin("odd", switch="LR")})
    registry = Registry.load()
    (odd,) = [entry for entry in registry.examined(Kind.METHOD) if entry.spec.name == "odd"]
    assert odd.error == "its switch 'LR' is a parameter of the core already, and chooses nothing"
    config = {"task": "t", "model": "m", "dataset": "d", "method": "lora", "LR": 1e-3}
    assert [problem.key for problem in check(config, (), registry)] == ["task"]


BROKEN = {
    "import_error": ("import a_module_that_is_not_there", "ModuleNotFoundError: No module named 'a_module_that"),
    "syntax_error": ("def (:", "SyntaxError: "),
    "exit": ("import sys; sys.exit('cannot start')", "SystemExit: cannot start"),
    "hook_raises": (
        "from adapt_core.hookspecs import hookimpl\n@hookimpl\ndef adapt_methods(): raise RuntimeError('no\\nluck')",
        "RuntimeError: no luck",
    ),
    "hook_raises_late": (method_plugin("half") + "    raise KeyError('later')", "KeyError: 'later'"),
    "one_spec_alone": (
        "from adapt_core.hookspecs import hookimpl\nfrom adapt_core.kinds import SaverSpec\n@hookimpl\n"
        "def adapt_savers(): return SaverSpec(name='x', summary='', target='a:B')",
        "its adapt_savers must yield or return a list of SaverSpec, not a SaverSpec",
    ),
    "not_a_list": (
        "from adapt_core.hookspecs import hookimpl\n@hookimpl\ndef adapt_tasks(): return 3",
        "its adapt_tasks must yield or return a list of TaskSpec, not a int",
    ),
    "wrong_kind": (
        "from adapt_core.hookspecs import hookimpl\nfrom adapt_core.kinds import SaverSpec\n@hookimpl\n"
        "def adapt_methods(): return [SaverSpec(name='x', summary='', target='a:B')]",
        "its adapt_methods must offer MethodSpec objects, not a SaverSpec",
    ),
    "bad_spec": (method_plugin("Not Lower"), "ValueError: plugin name 'Not Lower' must be lower case"),
    "bad_target": (method_plugin("bad", target="no_colon"), "ValueError: target of 'bad' must be 'module:Class'"),
    **{
        f"{field}={value!r}": (method_plugin("bad", **{field: value}), f"ValueError: {field} of 'bad' must be {wanted}")
        for field, value, wanted in (
            ("quantization", 4, "a tuple of int, not 4"),
            ("module_types", "Linear", "a tuple of str, not 'Linear'"),
            ("engines", "a:B", "a tuple of str or None, not 'a:B'"),
            ("head", "besides", "'beside' or 'only' or 'all', not 'besides'"),
            ("learning_rate", -1, "above 0, not -1"),
            ("learning_rate", "1e-3", "float, not '1e-3'"),
            ("learning_rates", {"causal": 0}, "above 0, not {'causal': 0}"),
            ("learning_rates", {"odd": 1e-3}, "a mapping from 'encoder' or 'causal' to float"),
        )
    },
    "nothing_offered": (
        "from adapt_core.hookspecs import hookimpl\n@hookimpl\ndef adapt_methods(): pass",
        "its adapt_methods returns None: have it yield its specs, or return a list of them",
    ),
    "argument": (
        "from adapt_core.hookspecs import hookimpl\n@hookimpl\ndef adapt_methods(config): return []",
        "PluginValidationError: ",
    ),
    "mistyped": (
        method_plugin("typo").replace("adapt_methods", "adapt_methodz"),
        "it implements the hook 'adapt_methodz', which does not exist; did you mean 'adapt_methods'?",
    ),
    "unmarked": (
        method_plugin("plain").replace("@hookimpl", ""),
        "its adapt_methods is not marked with @hookimpl",
    ),
    "empty": ("", "it implements none of the hooks adapt_tasks, adapt_methods"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_is_reported_with_its_reason_and_hurts_nothing_else(fake: Install, case: str) -> None:
    source, reason = BROKEN[case]
    fake("aaa-first", {"aaa_first": method_plugin("first")})
    fake("bad-dist", {"bad_plugin": source}, version="0.7")
    fake("zzz-last", {"zzz_last": method_plugin("last")})
    registry = Registry.load()
    found = broken(registry, "bad-dist")
    assert found.reason.startswith(reason)
    assert (found.name, found.version) == ("bad-dist", "0.7")
    assert {"first", "last", "lora"} <= set(registry.names(Kind.METHOD))
    assert not [entry for entry in registry.entries() if entry.distribution == "bad-dist"]


def test_a_spec_may_have_further_fields_of_any_type(fake: Install) -> None:
    source = method_plugin("mine", notes={"a": 1}).replace(
        "@hookimpl",
        "from dataclasses import dataclass\n@dataclass(frozen=True, kw_only=True)\nclass Mine(MethodSpec):\n"
        "    notes: 'dict[str, NotThere]'\n\n@hookimpl",
    )
    fake("mine-dist", {"mine_plugin": source.replace("yield MethodSpec", "yield Mine")})
    assert Registry.load().get(Kind.METHOD, "mine").distribution == "mine-dist"


def test_an_entry_point_whose_module_is_missing_is_broken(fake: Install) -> None:
    fake("bad-dist", {}, point="nowhere_to_be_found.plugin")
    assert broken(Registry.load(), "bad-dist").reason == "ModuleNotFoundError: No module named 'nowhere_to_be_found'"


def test_a_name_that_a_broken_plugin_has_fails_with_its_reason(fake: Install) -> None:
    fake("bad-dist", {"bad_plugin": "import a_module_that_is_not_there"})
    with pytest.raises(UsageError, match=r"the method 'Bad-Dist' cannot be used: .*a_module_that_is_not_there"):
        Registry.load().get(Kind.METHOD, "Bad-Dist")


def test_an_unknown_name_is_explained_by_the_plugins_that_are_broken(fake: Install) -> None:
    fake("bad-dist", {"bad_plugin": "import a_module_that_is_not_there"}, version="0.7")
    with pytest.raises(UsageError) as caught:
        Registry.load().get(Kind.METHOD, "something_else")
    message = caught.value.message
    assert message.startswith("no method named 'something_else' is installed; known: adalora, ")
    assert "full" in message and "lora" in message
    assert "xlora" not in message  # what no test has run is not offered to somebody who is looking
    assert "the plugin 'bad-dist' of bad-dist 0.7 is broken: ModuleNotFoundError" in caught.value.hint


def test_an_unknown_name_gets_the_nearest_one() -> None:
    with pytest.raises(UsageError, match=r"no method named 'lorra' is installed; did you mean 'lora'?") as caught:
        Registry.load().get(Kind.METHOD, "lorra")
    assert caught.value.exit_code == 2


def test_a_clash_names_both_distributions_only_when_the_name_is_used(fake: Install) -> None:
    fake("one-dist", {"one_plugin": method_plugin("twice")}, version="1.1")
    fake("two-dist", {"two_plugin": method_plugin("twice")}, version="2.2")
    registry = Registry.load()
    assert registry.get(Kind.METHOD, "lora").distribution == "adapt-core"
    assert registry.names(Kind.METHOD).count("twice") == 1
    with pytest.raises(UsageError, match=r"it is offered by one-dist 1\.1 and by two-dist 2\.2"):
        registry.get(Kind.METHOD, "twice")
    errors = [entry.error for entry in registry.entries() if entry.spec.name == "twice"]
    assert errors == ["it is offered by one-dist 1.1 and by two-dist 2.2"] * 2


def test_an_alias_clashes_with_a_name_and_the_other_names_of_both_still_work(fake: Install) -> None:
    fake("one-dist", {"one_plugin": method_plugin("plain")})
    fake("two-dist", {"two_plugin": method_plugin("fancy", aliases=("Plain",))})
    registry = Registry.load()
    with pytest.raises(UsageError, match=r"one-dist 1\.0 and by two-dist 1\.0"):
        registry.get(Kind.METHOD, "plain")
    assert registry.get(Kind.METHOD, "fancy").distribution == "two-dist"


def test_the_same_name_in_two_kinds_is_no_clash(fake: Install) -> None:
    source = method_plugin("safetensors")
    fake("one-dist", {"one_plugin": source})
    registry = Registry.load()
    assert registry.get(Kind.METHOD, "safetensors").distribution == "one-dist"
    assert registry.get(Kind.SAVER, "safetensors").distribution == "adapt-core"


def test_two_entry_points_for_one_module_are_both_loaded(fake: Install, tmp_path: Path) -> None:
    """As when one package is registered by two distributions: the names clash, nothing crashes."""
    fake("one-dist", {"one_plugin": method_plugin("shared")})
    fake("two-dist", {}, point="one_plugin")
    registry = Registry.load()
    assert [entry.distribution for entry in registry.entries(Kind.METHOD) if entry.spec.name == "shared"] == [
        "one-dist",
        "two-dist",
    ]


def test_loading_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom adapt_core.plugins.registry import Registry\nRegistry.load().entries()\n"
        "print([m for m in ('torch', 'transformers', 'pydantic', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.strip() == "[]"


def test_entries_are_frozen() -> None:
    entry = Registry.load().get(Kind.METHOD, "lora")
    with pytest.raises(AttributeError):
        entry.error = "changed"  # type: ignore[misc]
    assert isinstance(entry, Entry)
