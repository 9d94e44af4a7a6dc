"""AdaLoRA's three phases in a real run, the ranks it reports, and that resuming it changes nothing."""

from __future__ import annotations

import itertools
import json
import math
import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch

import adapt_core
from adapt_core import AdaptError, ConfigError, Interrupted
from adapt_core.config.validate import validate_options
from adapt_core.methods.adalora.method import Adalora
from adapt_core.methods.adalora.options import AdaloraOptions
from adapt_core.methods.adalora.phases import Phases, phases_of
from adapt_core.models.architecture import hints_for
from adapt_core.testing import MODELS

pytestmark = pytest.mark.usefixtures("no_reload")
OPTIONS = {"name": "adalora", "init_r": 4, "target_r": 2, "tinit": 3, "tfinal": 5}
TRAINING = {"batch_size": 16, "lr": 0.01, "interval": "steps", "interval_steps": 4}
STEPS, LAYERS = 16, 13  # 256 rows; 6 linear layers in each of 2 blocks, and the pooler


def budget(step: int, *, first: int, last: int, tinit: int, tfinal: int, total: int) -> int:
    """The ranks of all layers together after a step: constant, falling by a cube, constant.

    Zhang et al. 2023, arXiv 2303.10512, equation 12, with the fall from tinit to total - tfinal as on the page in the
    seeds (and in the authors' code: the paper's own formula starts above the first budget).
    """
    if step <= tinit:
        return first
    if step >= total - tfinal:
        return last
    left = 1 - Fraction(step - tinit, total - tfinal - tinit)
    return math.floor(last + (first - last) * left**3)


@pytest.fixture
def ranks(monkeypatch: pytest.MonkeyPatch) -> dict[int, int]:
    """The number of singular values that are not zero after each step, all layers together."""
    found: dict[int, int] = {}
    original = Adalora.after_step

    def noted(self: Adalora, module: Any, step: int) -> None:
        original(self, module, step)
        found[step] = sum(int((each != 0).sum()) for name, each in module.named_parameters() if ".lora_E." in name)

    monkeypatch.setattr(Adalora, "after_step", noted)
    return found


def adapter(run: str) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(Path(run) / "model" / "adapter_model.safetensors")


def test_the_budget_stays_then_falls_then_stays(toy_config: Any, ranks: dict[int, int]) -> None:
    """The page's three phases: until tinit, until total - tfinal, until the end."""
    result = adapt_core.run(toy_config(method=OPTIONS, training=TRAINING))
    assert result["steps"] == STEPS == len(ranks)
    assert {ranks[step] for step in (1, 2, 3)} == {4 * LAYERS}
    falling = [ranks[step] for step in range(4, STEPS - 5 + 1)]
    assert all(later <= earlier for earlier, later in itertools.pairwise(falling))
    assert falling[0] < 4 * LAYERS and falling[-1] == 2 * LAYERS
    assert {ranks[step] for step in range(STEPS - 5, STEPS + 1)} == {2 * LAYERS}
    phases = {"first": 4 * LAYERS, "last": 2 * LAYERS, "tinit": 3, "tfinal": 5, "total": STEPS}
    assert ranks == {step: budget(step, **phases) for step in range(1, STEPS + 1)}


@pytest.mark.parametrize("every", [1, 7])
def test_the_pages_example_has_the_cubic_budget_at_every_step(every: int) -> None:
    """tinit 10, tfinal 20, 100 steps; ranks are taken away every deltaT steps, and at the end of the second phase."""
    torch.manual_seed(0)
    layers, first, last = 3, 12, 4
    model = torch.nn.Sequential(*(torch.nn.Linear(24, 24) for _ in range(layers)))
    phases = {"tinit": 10, "tfinal": 20}
    options = validate_options(AdaloraOptions, {"init_r": first, "target_r": last, "deltaT": every, **phases}, "test")
    method = Adalora(options)
    adapted = method.apply(model, hints_for(model))
    method.before_training(adapted, 100)
    trained = [each for each in adapted.parameters() if each.requires_grad]
    expected = layers * first
    for step in range(1, 101):
        for each in trained:  # as an optimizer does, which also moves what was set to zero
            each.data.normal_()
            each.grad = torch.randn_like(each)
        method.after_step(adapted, step)
        allocates = step >= 80 or (step > 10 and step % every == 0)
        if allocates:
            expected = budget(step, first=layers * first, last=layers * last, total=100, **phases)
            values = [each for name, each in adapted.named_parameters() if ".lora_E." in name]
            assert sum(int((each != 0).sum()) for each in values) == expected, step
        shown = [rank for section in method.sections(adapted)[1:] for _, rank, _ in section.rows]
        assert (sum(shown) if shown else layers * first) == expected, step


def test_the_report_shows_the_ranks(toy_config: Any) -> None:
    config = toy_config(method=OPTIONS, training=TRAINING)
    adapt_core.run(config)
    page = (Path(config["output_dir"]) / "report.html").read_text()
    assert "Ranks" in page and "bert.encoder.layer.0.attention.self.query" in page
    assert "Phases of the ranks" in page


@pytest.mark.parametrize(
    ("total", "expected"), [(200, (30, 80, 90)), (1000, (150, 400, 450)), (3, (0, 2, 1)), (1, (0, 1, 0))]
)
def test_without_numbers_the_phases_are_shares_of_the_run(total: int, expected: tuple[int, int, int]) -> None:
    """15 % of the steps with all ranks and 45 % with settled ones, rounded down."""
    assert phases_of(None, None, total) == Phases(*expected)


@pytest.mark.parametrize(
    ("given", "expected"),
    [((10, 20), (10, 70, 20)), ((0, 0), (0, 100, 0)), ((60, None), (60, 22, 18)), ((None, 60), (6, 34, 60))],
)
def test_a_number_that_is_given_is_the_steps_and_the_other_phase_a_share_of_the_rest(
    given: tuple[int | None, int | None], expected: tuple[int, int, int]
) -> None:
    assert phases_of(*given, 100) == Phases(*expected)


def test_a_run_without_numbers_has_its_shares_and_saves_them(toy_config: Any, ranks: dict[int, int]) -> None:
    """Of 16 steps two and seven: 2.4 and 7.2, rounded down."""
    config = toy_config(method={"name": "adalora", "init_r": 4, "target_r": 2}, training=TRAINING)
    adapt_core.run(config)
    phases = {"first": 4 * LAYERS, "last": 2 * LAYERS, "tinit": 2, "tfinal": 7, "total": STEPS}
    assert ranks == {step: budget(step, **phases) for step in range(1, STEPS + 1)}
    saved = json.loads((Path(config["output_dir"]) / "model" / "adapter_config.json").read_text())
    assert (saved["tinit"], saved["tfinal"], saved["total_step"]) == (2, 7, STEPS)


@pytest.mark.parametrize(("stop", "saved"), [(10, 8), (14, 12)], ids=["ranks fall", "ranks are settled"])
def test_a_resumed_run_ends_as_one_that_was_never_interrupted(
    stop: int, saved: int, toy_config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = toy_config(method=OPTIONS, training=TRAINING, output_dir=str(tmp_path / "whole"))
    expected = adapt_core.run(whole)
    config = toy_config(method=OPTIONS, training=TRAINING)
    original = Adalora.after_step

    def interrupted(self: Adalora, module: Any, step: int) -> None:
        original(self, module, step)
        if step == stop:  # ranks have been taken away
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Adalora, "after_step", interrupted)
        with pytest.raises(Interrupted, match=f"the state of step {saved} is saved"):
            adapt_core.run(config)
    result = adapt_core.run(config, resume=True)
    assert result["metrics"] == expected["metrics"]
    first, second = adapter(whole["output_dir"]), adapter(config["output_dir"])
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_what_was_saved_evaluates_as_it_was_trained(toy_config: Any) -> None:
    config = toy_config(method=OPTIONS, training=TRAINING)
    result = adapt_core.run(config)
    again = adapt_core.evaluate_run(config["output_dir"])["metrics"]
    assert again["accuracy"] == result["metrics"]["accuracy"]
    assert again["loss"] == pytest.approx(result["metrics"]["loss"], rel=1e-5)


def test_a_loop_of_ones_own_takes_ranks_away_as_the_documentation_says() -> None:
    tiny = MODELS["encoder"]
    options = {key: value for key, value in OPTIONS.items() if key != "name"}
    module, method = adapt_core.apply_method(tiny.seeded(), "adalora", phases=True, **options)
    optimizer = torch.optim.AdamW([each for each in module.parameters() if each.requires_grad], lr=0.01)
    method.before_training(module, STEPS)
    for step in range(1, STEPS + 1):
        module.train()(**tiny.batch()).loss.backward()
        optimizer.step()
        method.after_step(module, step)
        optimizer.zero_grad()
        left = sum(int((each != 0).sum()) for name, each in module.named_parameters() if ".lora_E." in name)
        assert left == budget(step, first=4 * LAYERS, last=2 * LAYERS, tinit=3, tfinal=5, total=STEPS)


def test_a_loop_that_would_take_no_ranks_away_is_refused() -> None:
    with pytest.raises(adapt_core.AdaptError, match="while the model is trained: before_training"):
        adapt_core.apply_method(MODELS["encoder"].seeded(), "adalora")


def test_nothing_is_said_of_ranks_that_are_known(toy_config: Any, tmp_path: Path) -> None:
    """PEFT warns that it ignores the ranks of a saved adapter, and minds them all the same."""
    folders = [str(tmp_path / name) for name in ("first", "second")]
    for folder in folders:
        adapt_core.run(toy_config(method=OPTIONS, training=TRAINING, output_dir=folder))
    assert json.loads((tmp_path / "first" / "model" / "adapter_config.json").read_text())["rank_pattern"]
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        adapt_core.load_run(folders[0]).add(folders[1])


def test_phases_that_do_not_fit_are_refused(toy_config: Any) -> None:
    with pytest.raises(AdaptError, match=r"method.tinit \(3\) and method.tfinal \(5\) leave none of the 8 steps"):
        adapt_core.run(toy_config(method=OPTIONS, training={**TRAINING, "max_steps": 8}))
    alone = {key: value for key, value in OPTIONS.items() if key != "tfinal"} | {"tinit": 9}
    with pytest.raises(AdaptError, match=r"method.tinit \(9\) leaves none of the 8 steps"):
        adapt_core.run(toy_config(method=alone, training={**TRAINING, "max_steps": 8}), overwrite=True)
    with pytest.raises(ConfigError, match=r"target_r \(4\) must be below init_r \(4\)"):
        adapt_core.run(toy_config(method={**OPTIONS, "target_r": 4}))
