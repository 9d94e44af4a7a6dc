"""What an engine promises, as tests to inherit."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from adapt_core.bundles import Hints, Model
from adapt_core.errors import AdaptError, Interrupted
from adapt_core.interfaces import Method, World
from adapt_core.kinds import EngineSpec, MethodSpec
from adapt_core.models.architecture import hints_for
from adapt_core.plugins.references import resolve
from adapt_core.runs.folder import RunFolder
from adapt_core.terminal.progress import progress_for
from adapt_core.testing.engines import BATCH, HALF, STEPS, plan_for
from adapt_core.testing.models import MODELS

SPEC = MethodSpec(
    name="whole",
    summary="Trains everything and notes when it is called.",
    target="adapt_core.testing.engine:Whole",
    head="all",
    saves="model",
    learning_rate=1e-3,
)

STATE = "calls.txt"


class Whole(Method):
    """Trains everything, with one parameter in a group of its own that stays, and notes its phases.

    Args:
        stop_at: the step after which this process gets a SIGTERM; None for never.
    """

    def __init__(self, stop_at: int | None = None) -> None:
        super().__init__(None)
        self.stop_at = stop_at
        self.calls: list[str] = []

    def apply(self, module: nn.Module, hints: Hints) -> nn.Module:
        """Everything requires gradients, and dropout is put before the last linear layer."""
        module.requires_grad_(True)
        last = [each for each in module.modules() if isinstance(each, nn.Linear)][-1]
        last.register_forward_pre_hook(lambda each, inputs: (nn.functional.dropout(inputs[0], 0.3, each.training),))
        return module

    def merge(self, module: nn.Module) -> nn.Module:
        """As it is."""
        return module

    def parameter_groups(self, module: nn.Module, lr: float) -> list[dict[str, Any]]:
        """The first parameter at a rate of zero."""
        return [{"params": [next(module.parameters())], "lr": 0.0, "weight_decay": 0.0}]

    def calibrate(self, module: nn.Module, batches: Iterable[Mapping[str, Any]]) -> None:
        """Looks at a batch, twice, and draws random numbers."""
        torch.rand(3)
        first, again = (next(iter(batches)) for _ in range(2))
        assert all(torch.equal(each, again[name]) for name, each in first.items()), "an iteration does not begin anew"
        self.calls.append(f"calibrate {len(next(iter(first.values())))}")

    def before_training(self, module: nn.Module, total_steps: int) -> None:
        """Notes the number of steps."""
        self.calls.append(f"before {total_steps}")

    def after_step(self, module: nn.Module, step: int) -> None:
        """Notes the step, and whether gradients are still there."""
        there = any(each.grad is not None and bool(each.grad.any()) for each in module.parameters())
        self.calls.append(f"after {step}" + ("" if there else " without gradients"))
        if step == self.stop_at:
            os.kill(os.getpid(), signal.SIGTERM)

    def save_state(self, module: nn.Module, folder: Path) -> None:
        """Puts a file into the checkpoint."""
        (folder / STATE).write_text(str(len(self.calls)))


class EngineContract:
    """Subclass it and name the engine.

    Attributes:
        engine: its spec, with ``test_inputs``.
        refused: options of ``training`` that it cannot do, each with a value that it must refuse before any work.
    """

    engine: ClassVar[EngineSpec]
    refused: ClassVar[Mapping[str, Any]] = {}

    def test_a_resumed_training_ends_as_one_that_was_not_interrupted(self, tmp_path: Path) -> None:
        """With dropout: random numbers are a part of the state."""
        whole, method, _ = self._trained(tmp_path / "run")
        resumed, again, _ = self._trained(tmp_path / "run", checkpoint=HALF)
        assert _same(whole, resumed), "it ends otherwise"
        assert method.calls == [
            f"calibrate {BATCH}",
            f"before {STEPS}",
            *(f"after {step + 1}" for step in range(STEPS)),
        ]
        assert again.calls == [f"before {STEPS}", *(f"after {step}" for step in range(HALF + 1, STEPS + 1))]
        for step in (HALF, STEPS):
            assert (tmp_path / "run" / "checkpoints" / f"checkpoint-{step}" / STATE).exists(), (
                "save_state is not called"
            )

    def test_a_signal_ends_it_after_its_step_with_a_checkpoint(self, tmp_path: Path) -> None:
        """Resumed, it ends as if nothing had happened."""
        whole, _, _ = self._trained(tmp_path / "whole")
        with pytest.raises(Interrupted):
            self._trained(tmp_path / "run", stop_at=3)
        assert RunFolder(tmp_path / "run").checkpoints.steps()[-1] == 3
        resumed, _, _ = self._trained(tmp_path / "run", checkpoint=3)
        assert _same(whole, resumed), "it ends otherwise"

    def test_its_log_has_lines_of_steps_losses_and_rates(self, tmp_path: Path) -> None:
        """Every ``logging_steps``; a resumed training goes back to what its checkpoint knew, and logs the rest."""
        self._trained(tmp_path / "run", logging_steps=2)
        folder = RunFolder(tmp_path / "run")
        lines = folder.read_metrics()
        assert [line["step"] for line in lines] == [2, 4, 6, 8, 10]
        assert all(line["loss"] > 0 and line["learning_rate"] > 0 and line["epoch"] > 0 for line in lines)
        self._trained(tmp_path / "run", checkpoint=HALF, logging_steps=2)
        assert [line["step"] for line in folder.read_metrics()] == [2, 4, 6, 8, 10]

    def test_what_a_method_groups_has_settings_of_its_own(self, tmp_path: Path) -> None:
        """The first parameter has a rate of zero, and all else is trained."""
        tiny = MODELS["encoder"]
        before = [each.detach().clone() for each in tiny.seeded().parameters()]
        trained, _, _ = self._trained(tmp_path / "run")
        after = list(trained.parameters())
        assert torch.equal(before[0], after[0]), "a group's own rate is not used"
        moved = sum(not torch.equal(old, new) for old, new in zip(before, after, strict=True))
        assert moved > len(after) / 2, "what is in no group is not trained"

    def test_a_loss_that_is_no_number_ends_it(self, tmp_path: Path) -> None:
        """With the step, and what to do."""
        with pytest.raises(AdaptError, match="step 1"):
            self._trained(tmp_path / "run", logging_steps=1, broken=True)

    @pytest.mark.parametrize("batch", [1, 3, 8])
    def test_an_evaluation_does_not_depend_on_its_batches(self, tmp_path: Path, batch: int) -> None:
        """The loss is that of all rows at once, and the model's mode is left as it was."""
        tiny = MODELS["encoder"]
        module = tiny.seeded()
        with torch.no_grad():
            expected = float(module(**tiny.batch()).loss)
        tmp_path.joinpath("run").mkdir()
        engine = self._engine(tmp_path / "run", eval_batch_size=batch, do_eval=True)
        module.train()
        evaluated = engine.evaluate(Model(module, None, hints_for(module)), resolve(str(self.engine.test_inputs))(tiny))
        assert evaluated.metrics["loss"] == pytest.approx(expected, rel=1e-5)
        assert module.training, "the model's mode was changed"

    def test_options_that_it_cannot_do_are_refused_before_any_work(self, tmp_path: Path) -> None:
        """Each by itself."""
        tmp_path.joinpath("run").mkdir()
        for key, value in self.refused.items():
            with pytest.raises(AdaptError, match=key):
                self._engine(tmp_path / "run", **{key: value}).check()

    # ---- helpers --------------------------------------------------------------------------------------------------

    def _engine(self, folder: Path, **options: Any) -> Any:
        plan = plan_for(self.engine, SPEC, folder, **options)
        return plan.make_engine(RunFolder(folder), World(), progress_for(quiet=True))

    def _trained(
        self,
        folder: Path,
        *,
        checkpoint: int | None = None,
        stop_at: int | None = None,
        broken: bool = False,
        **options: Any,
    ) -> tuple[nn.Module, Whole, Any]:
        tiny = MODELS["encoder"]
        folder.mkdir(exist_ok=True)
        method = Whole(stop_at)
        module = method.apply(tiny.seeded(), Hints())
        if broken:
            with torch.no_grad():
                list(module.parameters())[-1].fill_(torch.nan)
        torch.manual_seed(0)
        engine = self._engine(folder, **options)
        engine.check()
        place = RunFolder(folder).checkpoints.at(checkpoint) if checkpoint else None
        inputs = resolve(str(self.engine.test_inputs))(tiny)
        done = engine.train(Model(module, None, hints_for(module)), method, inputs, place)
        return module, method, done


def _same(one: nn.Module, other: nn.Module) -> bool:
    state: dict[str, Tensor] = other.state_dict()
    return all(torch.allclose(each, state[name], atol=1e-6) for name, each in one.state_dict().items())
