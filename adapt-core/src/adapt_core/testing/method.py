"""What a method promises, as tests to inherit."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from adapt_core.bundles import Model
from adapt_core.engines.spec import TRAINER
from adapt_core.kinds import EngineSpec
from adapt_core.plugins.references import resolve
from adapt_core.testing.engines import BATCH, HALF, STEPS, train
from adapt_core.testing.layers import LAYERS
from adapt_core.testing.models import MODELS, Tiny
from adapt_core.testing.promises import MethodPromises, outputs_of


class MethodContract(MethodPromises):
    """Subclass it, name the method, and pytest runs it on every tiny model.

    Attributes:
        method: the plugin's name.
        options: its options, as in a configuration; what is random in training (dropout) is best switched off.
        works_on: the names of the models in :data:`adapt_core.testing.models.MODELS` that it works on; it must refuse
            the others with a reason.
        layer_types: the types of layers that it adapts with these options, where they are fewer than its spec declares.
        layer_options: further options for when it is told which layer to adapt.
        learning_rate: with which its loss falls within 20 steps of Adam.
        moves_base: whether it moves a part of the base's weights into the adapter.
        engines: the engines to train it through; the Trainer's, unless you give others.
    """

    engines: ClassVar[tuple[EngineSpec, ...]] = (TRAINER,)

    @pytest.fixture(params=list(MODELS))
    def tiny(self, request: pytest.FixtureRequest) -> Tiny:
        """Every tiny model in turn."""
        return MODELS[request.param]

    def test_it_keeps_its_promises_or_refuses_with_a_reason(self, tiny: Tiny, tmp_path: Path) -> None:
        """On one model, in one go, since every promise is about the same trained adapter."""
        if tiny.name in self.works_on:
            self._keeps_its_promises(tiny, tmp_path)
        else:
            self._refuses(tiny)

    def test_it_trains_and_resumes_through_the_engines_that_it_claims(self, tmp_path: Path) -> None:
        """Resumed half-way, a training ends as one that was never interrupted, and what it saves loads again."""
        claimed = self._spec().engines
        tried = [engine for engine in self.engines if claimed is None or set(engine.names) & set(claimed)]
        if not tried:
            names = ", ".join(engine.name for engine in self.engines)
            pytest.skip(f"{self.method} does not claim {names}; `adapt check` refuses them together")
        for index, engine in enumerate(tried):
            self._trains_and_resumes(engine, MODELS[self.works_on[0]], tmp_path / str(index))

    def _trains_and_resumes(self, engine: EngineSpec, tiny: Tiny, folder: Path) -> None:
        folder.mkdir()
        ends: list[dict[str, Tensor]] = []
        for resume in (False, True):
            adapted, method = self._applied(tiny)
            model = Model(adapted, None, self._hints(tiny, adapted))
            start = {name: each.cpu().clone() for name, each in adapted.state_dict().items()}
            inputs = resolve(str(engine.test_inputs))(tiny)
            done = train(engine, inputs, model, self._spec(), method, folder / "run", self.learning_rate, resume=resume)
            ends.append({name: each.cpu().clone() for name, each in adapted.state_dict().items()})
            own = self._own(tiny, adapted)
            changed = [name for name in own if name not in start or not ends[-1][name].equal(start[name])]
            assert changed, f"training changed nothing of what the method trains: {own}"
            rows = (STEPS - HALF if resume else STEPS) * BATCH
            assert (done.steps, done.samples) == (STEPS, rows), "it did not take the steps after the checkpoint alone"
        whole, resumed = ends
        assert whole.keys() == resumed.keys()
        off = [name for name, each in whole.items() if not torch.allclose(each, resumed[name], atol=1e-6)]
        assert not off, f"a resumed training ends otherwise in {off}"
        self._reloads(tiny, adapted, method, folder, outputs_of(tiny, adapted))

    def test_gradient_checkpointing_changes_no_gradient_where_it_is_claimed(self) -> None:
        """Where it is not claimed, gradients change. One model shows it: what gets lost is the same on all."""
        names = [
            name for name in self.works_on if getattr(MODELS[name].seeded(), "supports_gradient_checkpointing", False)
        ]
        if not names:
            pytest.skip(f"{self.method} works on no model that has gradient checkpointing")
        tiny = MODELS[names[0]]
        expected = self._gradients(tiny, recompute=False)
        try:
            found = self._gradients(tiny, recompute=True)
        except RuntimeError:
            found = {}
        limit = 1e-4 * max(float(each.abs().max()) for each in expected.values())
        same = found.keys() == expected.keys() and all(
            torch.allclose(each, found[name], atol=limit) for name, each in expected.items()
        )
        assert same == self._spec().checkpointing, f"checkpointing is declared {self._spec().checkpointing}"

    def _gradients(self, tiny: Tiny, *, recompute: bool) -> dict[str, Tensor]:
        adapted: Any = self._adapted(tiny)[0].train()
        if recompute:
            adapted.gradient_checkpointing_enable({"use_reentrant": False})
        torch.manual_seed(0)
        adapted(**tiny.batch_for(adapted)).loss.backward()
        return {key: each.grad for key, each in adapted.named_parameters() if each.grad is not None}

    @pytest.mark.parametrize("layer", list(LAYERS))
    def test_it_adapts_the_types_of_layers_that_it_declares_and_no_others(self, layer: str, tmp_path: Path) -> None:
        """Each as the one target in a model of that layer; a method that declares none adapts any that it is told to.

        A method that has no option ``target_modules`` cannot be told, and declares none.
        """
        declared = self._spec().module_types
        adapted = declared if self.layer_types is None else self.layer_types
        if "target_modules" not in self._registry().options(self._spec()).model_fields:
            assert not declared, "module_types are declared, but there is no option target_modules"
        elif not adapted or layer in adapted:
            self._keeps_its_promises(LAYERS[layer], tmp_path)
        else:
            self._refuses(LAYERS[layer])
