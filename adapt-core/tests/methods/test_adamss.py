"""AdaMSS's adaptive allocation of subspaces: PEFT's own, at every step, through resuming and saving."""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import AdamssConfig, get_peft_model
from peft.tuners.adamss.layer import AdamssLayer
from safetensors.torch import load_file
from torch import Tensor, nn

from adapt_core import AdaptError, apply_method
from adapt_core.bundles import Model
from adapt_core.engines.spec import TRAINER
from adapt_core.errors import ConfigError
from adapt_core.methods.peft_tuners.adamss import Allocation
from adapt_core.testing import MODELS
from adapt_core.testing.engines import HALF, STEPS, train, trainer_inputs
from adapt_core.testing.promises import MethodPromises, outputs_of

pytestmark = pytest.mark.usefixtures("no_reload")
TINY = MODELS["encoder"]
SUBSPACES, LAYERS = 3, 13  # 6 linear layers in each of 2 blocks, and the pooler
SIZES = {"r": 16, "num_subspaces": SUBSPACES}
ALLOCATES = {
    "use_asa": True,
    "asa_target_subspaces": 8,
    "init_warmup": 1,
    "final_warmup": STEPS - 1,
    "mask_interval": 2,
    "asa_schedule_exponent": 2.0,
}


class Adamss(MethodPromises):
    """What the suites use to make it, with options of its own."""

    method = "adamss"

    def __init__(self, **options: Any) -> None:
        self.options: Mapping[str, Any] = {**SIZES, **options}  # type: ignore[misc]

    def applied(self) -> tuple[Any, Any]:
        return self._applied(TINY)

    def trained(self, folder: Path, *, resume: bool = False) -> tuple[Any, Any]:
        """After the steps of the engine, or those from the first checkpoint on."""
        module, method = self.applied()
        train(
            TRAINER,
            trainer_inputs(TINY),
            Model(module, None, self._hints(TINY, module)),
            self._spec(),
            method,
            folder,
            1e-2,
            resume=resume,
        )
        return module, method

    def loaded(self, method: Any, folder: Path) -> Any:
        return method.load(TINY.seeded(), folder, self._hints(TINY, TINY.seeded())).eval()


def layers(module: nn.Module) -> dict[str, AdamssLayer]:
    return {name: each for name, each in module.named_modules() if isinstance(each, AdamssLayer)}


def active(module: nn.Module) -> list[bool]:
    """Of all subspaces, in the order of layers."""
    pairs = [
        (down.requires_grad, up.requires_grad)
        for layer in layers(module).values()
        for down, up in zip(layer.adamss_A["default"], layer.adamss_B["default"], strict=True)
    ]
    assert all(down == up for down, up in pairs)
    return [down for down, _ in pairs]


def averages(module: nn.Module) -> dict[str, Tensor]:
    return {
        f"{name}.{kind}.{index}": each
        for name, layer in layers(module).items()
        for kind in ("exp_avg_ipt_A", "exp_avg_ipt_B", "exp_avg_unc_A", "exp_avg_unc_B")
        for index, each in enumerate(getattr(layer, kind)["default"])
        if each is not None
    }


def counts(steps: int) -> dict[int, int]:
    """The active subspaces after each step, by the formula of PEFT's documentation.

    PEFT 0.21 keeps those above the least of the number that it has computed: one less.
    """
    total, target = SUBSPACES * LAYERS, ALLOCATES["asa_target_subspaces"]
    first, last = ALLOCATES["init_warmup"], ALLOCATES["final_warmup"]
    found, left = {}, total
    for step in range(1, steps + 1):
        if first <= step <= last and step % ALLOCATES["mask_interval"] == 0:
            progress = 1 - (step - first) / (last - first)
            wanted = int(target + (total - target) * progress ** ALLOCATES["asa_schedule_exponent"])
            left = wanted - 1 if wanted < left else left
        found[step] = left
    return found


def test_it_is_peft_called_by_hand() -> None:
    """The same subspaces stay, with the same weights, as in a loop of the kind that PEFT's documentation shows."""
    given = {**ALLOCATES, "asa_target_subspaces": 4, "target_modules": ["query", "value"]}
    ours, method = Adamss(**given).applied()
    base = TINY.seeded()
    torch.manual_seed(0)
    theirs: Any = get_peft_model(base, AdamssConfig(**SIZES, **given, modules_to_save=["classifier"]))
    method.before_training(ours, STEPS)
    for module, after in (
        (ours, method.after_step),
        (theirs, lambda it, step: it.base_model.update_and_allocate(step)),
    ):
        module.train()
        optimizer = torch.optim.Adam([each for each in module.parameters() if each.requires_grad], 1e-2)
        for step in range(1, STEPS + 1):
            module(**TINY.batch()).loss.backward()
            optimizer.step()
            after(module, step)
            optimizer.zero_grad()
    assert 0 < sum(active(theirs)) < SUBSPACES * 4
    assert active(ours) == active(theirs)
    expected = theirs.state_dict()
    assert expected.keys() == ours.state_dict().keys()
    assert all(torch.equal(each, expected[name]) for name, each in ours.state_dict().items())


def test_the_engine_keeps_to_the_schedule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: dict[int, int] = {}
    original = Allocation.after_step

    def noted(self: Allocation, module: Any, step: int) -> None:
        original(self, module, step)
        found[step] = sum(active(module))

    monkeypatch.setattr(Allocation, "after_step", noted)
    module, method = Adamss(**ALLOCATES).trained(tmp_path)
    assert found == counts(STEPS)
    assert found[1] == SUBSPACES * LAYERS > found[HALF] > found[STEPS]
    (section,) = method.sections(module)
    assert next(row[0] for row in section.rows) == "bert.encoder.layer.0.attention.self.query"
    assert sum(row[1] for row in section.rows) == found[STEPS]
    assert {row[2] for row in section.rows} == {SUBSPACES} and len(section.rows) == LAYERS


def test_resumed_half_way_it_ends_as_one_that_was_never_interrupted(tmp_path: Path) -> None:
    """Importances that had gathered, what was frozen, and the head are all as they were."""
    whole, _ = Adamss(**ALLOCATES).trained(tmp_path)
    resumed, _ = Adamss(**ALLOCATES).trained(tmp_path, resume=True)
    assert sum(active(whole)) == counts(STEPS)[STEPS]
    assert active(resumed) == active(whole)
    for kind in (nn.Module.state_dict, averages):
        expected: dict[str, Tensor] = kind(whole)
        found: dict[str, Tensor] = kind(resumed)
        assert found.keys() == expected.keys() and expected
        assert not [name for name, each in expected.items() if not torch.allclose(found[name], each, atol=1e-6)]


def test_what_is_frozen_is_saved_with_the_rest(tmp_path: Path) -> None:
    """In the adapter and in a checkpoint, after subspaces have learnt something and been frozen with that."""
    made = Adamss(**ALLOCATES)
    module, method = made.trained(tmp_path / "run")
    frozen = [
        f"{name}.adamss_B.{index}"
        for name, layer in layers(module).items()
        for index, each in enumerate(layer.adamss_B["default"])
        if not each.requires_grad and each.any()
    ]
    assert len(frozen) > LAYERS
    method.save(module, tmp_path / "saved")
    expected = outputs_of(TINY, module)
    for folder in (tmp_path / "saved", next((tmp_path / "run").rglob(f"*{STEPS}/adapter_model.safetensors")).parent):
        assert set(frozen) <= load_file(folder / "adapter_model.safetensors").keys()
        assert torch.allclose(outputs_of(TINY, made.loaded(method, folder)), expected, atol=1e-6)


def test_without_allocation_a_checkpoint_is_the_engines_own() -> None:
    _, method = Adamss().applied()
    phases = ("before_training", "after_step", "save_state", "load_state", "sections")
    assert not [name for name in phases if method.has(name)]
    assert all(Adamss(**ALLOCATES).applied()[1].has(name) for name in phases)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"final_warmup": STEPS + 1}, rf"final_warmup \({STEPS + 1}\) is after the last of the {STEPS} steps"),
        ({"asa_target_subspaces": 39}, r"asa_target_subspaces \(39\) is not below the number of subspaces, 39 in all"),
    ],
)
def test_a_schedule_that_does_not_fit_is_refused(changed: dict[str, int], reason: str) -> None:
    module, method = Adamss(**{**ALLOCATES, **changed}).applied()
    with pytest.raises(AdaptError, match=reason) as refused:
        method.before_training(module, STEPS)
    assert refused.value.hint
    for name, value in changed.items():
        module, method = Adamss(**{**ALLOCATES, name: value - 1}).applied()
        method.before_training(module, STEPS)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"mask_interval": 10}, r"mask_interval \(10\) has no multiple after init_warmup \(1\) and up to final_warmup"),
        ({"init_warmup": 8, "mask_interval": 8}, "mask_interval .* has no multiple after init_warmup"),
        ({"mask_interval": 0}, r"mask_interval \(0\) must be at least 1"),
        ({"init_warmup": 9}, r"init_warmup \(9\) must be 0 at least, and below final_warmup \(9\)"),
        ({"init_warmup": -1}, "init_warmup"),
        ({"asa_target_subspaces": 1}, "asa_target_subspaces .* must be 2 at least"),
        ({"asa_importance_beta": 1.0}, "asa_importance_beta .* below 1"),
        ({"asa_uncertainty_beta": -0.1}, "asa_uncertainty_beta .* 0 at least"),
        ({"asa_schedule_exponent": 0.0}, "asa_schedule_exponent .* above 0"),
        ({"use_asa": False}, "asa_target_subspaces has no effect without use_asa: true"),
        ({"svd_threshold": 0.2}, "svd_threshold has no effect without use_dynamic_rank: true"),
    ],
)
def test_a_schedule_that_is_none_is_refused(changed: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        Adamss(**{**ALLOCATES, **changed}).applied()


def test_peft_leaves_one_subspace_less_than_it_is_told() -> None:
    """Why two is the least: of one, none would stay. When PEFT leaves as many, this and that rule can go."""
    module, method = Adamss(**{**ALLOCATES, "mask_interval": STEPS - 2}, target_modules=["query"]).applied()
    module.peft_config["default"].asa_target_subspaces = 1
    for step in range(1, STEPS):
        for each in module.parameters():
            each.data.uniform_()
            each.grad = torch.rand_like(each) if each.requires_grad else None
        method.after_step(module, step)
    assert True not in active(module)


@pytest.mark.parametrize("error", ["not installed", "broken"])
def test_a_missing_library_is_named(error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module, method = Adamss().applied()
    method.save(module, tmp_path)
    if error == "broken":
        (tmp_path / "sklearn.py").write_text("import scipy_that_is_not_there\n")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "sklearn")
    else:
        monkeypatch.setitem(sys.modules, "sklearn", None)
    says = "method.name: adamss needs (sklearn|scipy_that_is_not_there), which cannot be imported"
    for call in (
        lambda: apply_method(TINY.seeded(), "adamss", phases=True, r=16),
        lambda: Adamss().loaded(method, tmp_path),
    ):
        with pytest.raises(AdaptError, match=says) as refused:
            call()
        assert "scikit-learn" in f"{refused.value.message} {refused.value.hint}"


@pytest.mark.parametrize("options", [{}, ALLOCATES])
def test_a_copy_is_of_the_same_kind(options: Mapping[str, Any]) -> None:
    _, method = Adamss(**options).applied()
    again = copy.deepcopy(method)
    assert type(again) is type(method) and again.has("after_step") == bool(options)
