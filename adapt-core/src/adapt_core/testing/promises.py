"""What a method promises of one model, for the suites that try it on several."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest
import torch
from torch import Tensor, nn

from adapt_core.bundles import Hints, Model
from adapt_core.config.validate import validate_options
from adapt_core.errors import AdaptError
from adapt_core.interfaces import Method
from adapt_core.kinds import Kind, MethodSpec
from adapt_core.models.architecture import hints_for
from adapt_core.models.pretrained import save_model
from adapt_core.plugins.registry import Registry
from adapt_core.testing.models import MODELS, Tiny

STEPS = 20


class MethodPromises:
    """What the suites of methods share; see :class:`adapt_core.testing.method.MethodContract` for the attributes."""

    method: ClassVar[str]
    options: ClassVar[Mapping[str, Any]] = {}
    works_on: ClassVar[tuple[str, ...]] = tuple(MODELS)
    layer_types: ClassVar[tuple[str, ...] | None] = None
    layer_options: ClassVar[Mapping[str, Any]] = {}
    learning_rate: ClassVar[float] = 1e-2
    moves_base: ClassVar[bool] = False

    # ---- promises -------------------------------------------------------------------------------------------------

    def _refuses(self, tiny: Tiny) -> None:
        with pytest.raises(AdaptError) as refused:
            self._adapted(tiny)
        assert refused.value.message

    def _keeps_its_promises(self, tiny: Tiny, tmp_path: Path) -> None:
        base = tiny.seeded()
        before = outputs_of(tiny, base)
        frozen = {name: each.detach().clone() for name, each in _state(base).items()}
        adapted, method = self._adapted(tiny, base)
        self._deterministic(tiny, adapted)
        self._starts_as_declared(before, outputs_of(tiny, adapted))
        self._trains_its_own_parameters_only(tiny, adapted)
        self._learns(tiny, adapted, method)
        self._leaves_the_rest_alone(tiny, adapted, frozen)
        expected = outputs_of(tiny, adapted)
        self._reloads(tiny, adapted, method, tmp_path, expected)
        self._merges_as_declared(*self._to_merge(adapted, method, tiny, expected))

    def _deterministic(self, tiny: Tiny, adapted: nn.Module) -> None:
        first, second = _trainable(adapted), _trainable(self._adapted(tiny)[0])
        assert first.keys() == second.keys()
        assert all(torch.equal(first[name], second[name]) for name in first), "not the same with the same seed"

    def _starts_as_declared(self, before: Tensor, after: Tensor) -> None:
        same = before.shape == after.shape and torch.allclose(before, after, atol=1e-4)
        assert same == self._spec().identity, f"identity is declared {self._spec().identity}"

    def _trains_its_own_parameters_only(self, tiny: Tiny, adapted: nn.Module) -> None:
        adapted.train()
        adapted(**tiny.batch_for(adapted)).loss.backward()
        for name, each in adapted.named_parameters():
            assert (each.grad is not None) == each.requires_grad, f"{name}: gradient and requires_grad differ"
        assert _trainable(adapted), "nothing is trained"
        for head in tiny.fresh:
            assert any(f".{head}." in f".{name}" for name in _trainable(adapted)), f"the fresh {head} is not trained"
        self._head_as_declared(tiny, adapted)
        adapted.zero_grad()

    def _head_as_declared(self, tiny: Tiny, adapted: nn.Module) -> None:
        declared = self._spec().head
        hints = self._hints(tiny, tiny.seeded())
        heads = tuple(f".{name}." for name in (*hints.head, *hints.fresh))
        outside = [name for name in _trainable(adapted) if not any(head in f".{name}" for head in heads)]
        frozen = [name for name, each in adapted.named_parameters() if not each.requires_grad]
        if declared == "all":
            assert not frozen, f"head is declared 'all', and {frozen[0]} is not trained"
        elif declared == "only":
            assert not outside, f"head is declared 'only', and {outside[0]} is trained"
        else:
            assert outside, "head is declared 'beside', and nothing beside the head is trained"
            assert frozen, "head is declared 'beside', and the whole model is trained"

    def _learns(self, tiny: Tiny, adapted: nn.Module, method: Any) -> None:
        adapted.train()
        optimizer = torch.optim.Adam([each for each in adapted.parameters() if each.requires_grad], self.learning_rate)
        torch.manual_seed(0)
        losses = []
        method.before_training(adapted, STEPS)
        for step in range(1, STEPS + 1):
            optimizer.zero_grad()
            loss = adapted(**tiny.batch_for(adapted)).loss
            loss.backward()
            optimizer.step()
            method.after_step(adapted, step)
            losses.append(float(loss.detach()))
        assert losses[-1] < 0.99 * losses[0], f"the loss does not fall: {losses}"
        adapted.eval()

    def _leaves_the_rest_alone(self, tiny: Tiny, adapted: nn.Module, frozen: Mapping[str, Tensor]) -> None:
        if self.moves_base or self._spec().head == "all":
            return
        after = _state(adapted)
        trained = set(_trainable(adapted))
        for name, before in frozen.items():
            found = [key for key in after if _plain(key) == name or key.endswith(f".{name}")]
            assert found, f"{name} is gone"
            moved = [key for key in found if key not in trained and not torch.equal(after[key], before)]
            assert not moved, f"{moved} was changed and is not trained"

    def _reloads(self, tiny: Tiny, adapted: nn.Module, method: Method, folder: Path, expected: Tensor) -> None:
        if self._spec().saves == "model":
            kind: Any = type(tiny.seeded())
            made: Any = type(adapted)
            assert made is kind, f"saves is declared 'model', and it made a {made.__name__} of one"
            save_model(Model(adapted, None, self._hints(tiny, adapted)), folder / "saved")
            again = kind.from_pretrained(folder / "saved").eval()
            assert torch.allclose(outputs_of(tiny, again), expected, atol=1e-5), "other outputs after loading"
            return
        from safetensors.torch import load_file

        method.save(adapted, folder / "saved")
        saved = [name for file in (folder / "saved").glob("*.safetensors") for name in load_file(file)]
        trained = {_plain(name) for name in _trainable(adapted)}
        plain = tiny.seeded()
        base = {name for name, _ in plain.named_parameters()}
        extra = [name for name in saved if _plain(name) in base - trained]
        assert not extra, f"the adapter's file holds weights of the base: {extra}"
        # Not by the one that applied it: a saved run is loaded in another process.
        again = self._made(tiny).load(plain, folder / "saved", self._hints(tiny, plain)).eval()
        assert torch.allclose(outputs_of(tiny, again), expected, atol=1e-5), "other outputs after loading"

    def _to_merge(
        self, adapted: nn.Module, method: Method, tiny: Tiny, expected: Tensor
    ) -> tuple[nn.Module, Tiny, Tensor]:
        """The adapted model that is merged, the tiny one that it began as, and the outputs that it is to keep."""
        return adapted, tiny, expected

    def _merges_as_declared(self, adapted: nn.Module, tiny: Tiny, expected: Tensor) -> None:
        method = self._made(tiny)  # as in `adapt merge`
        if not self._spec().merges:
            with pytest.raises(AdaptError):
                method.merge(adapted)
            return
        plain = tiny.seeded()
        own = {name for name, _ in plain.named_parameters(remove_duplicate=False)}
        declared = {_plain(name) for name in method.added_biases(adapted)}
        merged = method.merge(adapted).eval()
        added = {name for name, _ in merged.named_parameters(remove_duplicate=False)} - own
        assert added == {f"{name}.bias" for name in declared}, "merging adds other parameters than it says"
        foreign = {type(module) for module in merged.modules()} - {type(module) for module in plain.modules()}
        assert not foreign, f"the merged model still holds {foreign}"
        assert _hooks(merged) == _hooks(plain), "the merged model still holds hooks"
        scale = max(float(expected.abs().max()), 1.0)
        difference = float((outputs_of(tiny, merged) - expected).abs().max())
        assert difference < 1e-4 * scale, f"merging changes outputs by {difference}"

    # ---- helpers --------------------------------------------------------------------------------------------------

    @classmethod
    @cache
    def _registry(cls) -> Registry:
        """What is installed; read once for a suite, whose tests ask often."""
        return Registry.load()

    def _spec(self) -> MethodSpec:
        return cast(MethodSpec, self._registry().get(Kind.METHOD, self.method).spec)

    def _hints(self, tiny: Tiny, module: nn.Module) -> Hints:
        return hints_for(module, [f"{name}.weight" for name in tiny.fresh])

    def _own(self, tiny: Tiny, adapted: nn.Module) -> list[str]:
        """What is trained because of the method: not a fresh head, unless the head is all that it trains."""
        fresh = () if self._spec().head == "only" else tiny.fresh
        return [name for name in _trainable(adapted) if not any(f".{head}." in f".{name}" for head in fresh)]

    def _options(self, tiny: Tiny) -> dict[str, Any]:
        if not tiny.targets:
            return dict(self.options)
        return {**self.options, **self.layer_options, "target_modules": list(tiny.targets)}

    def _adapted(self, tiny: Tiny, base: nn.Module | None = None) -> tuple[nn.Module, Method]:
        """A tiny model with the method on it, in evaluation mode, and the method."""
        adapted, method = self._applied(tiny, base)
        if method.has("calibrate"):
            method.calibrate(adapted, [tiny.batch_for(adapted)])
            assert not adapted.training, "calibration changes the model's mode"
            assert all(each.grad is None for each in adapted.parameters()), "calibration leaves gradients"
        return adapted, method

    def _applied(self, tiny: Tiny, base: nn.Module | None = None) -> tuple[nn.Module, Any]:
        """The same without calibration, which an engine sees to itself."""
        method = self._made(tiny)
        module = base if base is not None else tiny.seeded()
        torch.manual_seed(0)
        return method.apply(module, self._hints(tiny, module)).eval(), method

    def _made(self, tiny: Tiny) -> Any:
        """The method with the options for a tiny model."""
        registry = self._registry()
        entry = registry.get(Kind.METHOD, self.method)
        options = validate_options(registry.options(entry.spec), self._options(tiny), f"method {self.method}")
        return registry.load_target(entry)(options)


def outputs_of(tiny: Tiny, module: nn.Module) -> Tensor:
    """Logits for a model's batch, in evaluation mode, on the CPU."""
    module.eval()
    with torch.no_grad():
        return cast(Tensor, module(**tiny.batch_for(module)).logits.cpu())


def _state(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name."""
    parameters = dict(module.named_parameters(remove_duplicate=False))
    return parameters | dict(module.named_buffers(remove_duplicate=False))


def _trainable(module: nn.Module) -> dict[str, Tensor]:
    return {name: each.detach() for name, each in module.named_parameters() if each.requires_grad}


def _hooks(module: nn.Module) -> int:
    """How many functions are called before and after the forward passes of a model and its layers."""
    return sum(len(each._forward_hooks) + len(each._forward_pre_hooks) for each in module.modules())


def _plain(name: str) -> str:
    """A parameter's name in the model without an adapter."""
    for part in ("base_model.model.", "base_layer.", "original_module.", "modules_to_save.default."):
        name = name.replace(part, "")
    return name.removeprefix("base_model.")
