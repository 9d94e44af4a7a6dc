"""What a quantizer and the methods on it promise, as tests to inherit."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from adapt_core.bundles import Model
from adapt_core.config.validate import validate_options
from adapt_core.engines.trainer.sharding import filled, skeleton
from adapt_core.interfaces import Method, Quantizer
from adapt_core.kinds import Kind
from adapt_core.models.architecture import head_and_output, hints_for
from adapt_core.plugins.registry import Registry
from adapt_core.testing.models import MODELS, Tiny
from adapt_core.testing.promises import MethodPromises, outputs_of

QUANTIZED = ("causal_lm", "tied_lm", "encoder")
"""Models that hold what there is to quantize: linear and transposed layers, with and without a bias, and both heads."""


class QuantizerContract(MethodPromises):
    """Holds a method on a quantized base to what its own suite asks, and the quantizer to the following.

    The head and the output layer stay whole. What was saved loads onto a base that is quantized anew. It merges into
    the dequantized base, which gives the outputs of the quantized one as nearly as the quantizer says. If it says
    ``sharded``, a copy of a sharded model can be made whole again.

    Attributes:
        works_on: as in :class:`~adapt_core.testing.method.MethodContract`; only :data:`QUANTIZED` are tried.
        quantizer: the plugin's name.
        quantizer_options: its options, as in a configuration.
    """

    works_on: ClassVar[tuple[str, ...]] = QUANTIZED
    quantizer: ClassVar[str]
    quantizer_options: ClassVar[Mapping[str, Any]] = {}

    @pytest.fixture(params=QUANTIZED)
    def tiny(self, request: pytest.FixtureRequest, tmp_path: Path) -> Any:
        """Every tiny model in turn, quantized."""
        return self._quantized(request.param)

    def test_the_method_claims_the_width(self) -> None:
        """A configuration with both is accepted, as it is for no method that does not claim it."""
        bits = Registry.load().get(Kind.QUANTIZER, self.quantizer).spec.bits  # type: ignore[attr-defined]
        assert bits in self._spec().quantization

    def test_the_method_keeps_its_promises_or_refuses_with_a_reason(self, tiny: Any, tmp_path: Path) -> None:
        """On one model, in one go, since every promise is about the same trained adapter."""
        if tiny.name in self.works_on:
            self._keeps_its_promises(tiny, tmp_path)
        else:
            self._refuses(tiny)

    def test_the_head_and_the_output_layer_stay_whole(self, tiny: Any) -> None:
        """And the weights that are measured are all there are."""
        plain, quantized = tiny.tiny.seeded(), tiny.seeded()
        for name in head_and_output(plain):
            before, after = plain.get_submodule(name).state_dict(), quantized.get_submodule(name).state_dict()
            assert all(torch.equal(before[key], after[key].cpu()) for key in before), f"{name} was quantized"
        memory = tiny.quantizer.memory(quantized)
        assert memory.parameters > 0
        whole = sum(each.numel() for each in plain.parameters())
        rest = sum(each.numel() for each in quantized.parameters() if each.is_floating_point())
        assert memory.parameters + rest == whole, "some weights are neither quantized nor left whole"

    def test_a_copy_that_is_given_the_values_of_a_sharded_model_is_the_model(self) -> None:
        """Of a quantizer that says so; sharding leaves plain parameters, and a copy gets their values again."""
        spec = Registry.load().get(Kind.QUANTIZER, self.quantizer).spec
        if "sharded" in spec.parallel:  # type: ignore[attr-defined]
            tiny = self._quantized("encoder")
            module = tiny.seeded().requires_grad_(False)
            expected, memory = outputs_of(tiny, module), tiny.quantizer.memory(module)
            tiny.quantizer.before_sharding(module)
            assert all(type(each) is nn.Parameter for each in module.parameters())
            copied = filled(skeleton(module), {name: each.clone() for name, each in module.named_parameters()})
            tiny.quantizer.after_gathering(copied)
            assert tiny.quantizer.memory(copied) == memory  # before a forward pass, which may mend layers
            assert torch.equal(outputs_of(tiny, copied), expected)

    def _quantized(self, name: str) -> Any:
        registry = Registry.load()
        entry = registry.get(Kind.QUANTIZER, self.quantizer)
        options = validate_options(
            registry.options(entry.spec), dict(self.quantizer_options), f"quantizer {self.quantizer}"
        )
        return QuantizedTiny(MODELS[name], registry.load_target(entry)(options))

    def _to_merge(
        self, adapted: nn.Module, method: Method, tiny: Any, expected: Tensor
    ) -> tuple[nn.Module, Tiny, Tensor]:
        """On the dequantized base, to which the adapter is to give nearly the same outputs."""
        with tempfile.TemporaryDirectory() as folder:
            method.save(adapted, Path(folder))
            base = tiny.dequantized()
            loaded = self._made(tiny).load(base, Path(folder), self._hints(tiny, base)).eval()
        reference = outputs_of(tiny, loaded)
        limit = tiny.quantizer.tolerance()
        if limit is not None:
            scale = max(float(expected.abs().max()), 1.0)
            difference = float((reference - expected).abs().max())
            assert difference <= limit * scale, f"dequantizing changes outputs by {difference}"
        return loaded, tiny.tiny, reference


@dataclass(frozen=True)
class QuantizedTiny:
    """A tiny model whose base is quantized as it is loaded; otherwise as :class:`~adapt_core.testing.models.Tiny`."""

    tiny: Tiny
    quantizer: Quantizer

    def __getattr__(self, name: str) -> Any:
        return getattr(self.tiny, name)

    def seeded(self, seed: int = 0) -> nn.Module:
        """The model with the weights of a seed, quantized, in evaluation mode."""
        plain: Any = self.tiny.seeded(seed)
        with tempfile.TemporaryDirectory() as folder:
            plain.save_pretrained(folder)
            module = type(plain).from_pretrained(folder, **self.quantizer.load_kwargs(head_and_output(plain)))
        model = self.quantizer.prepare(Model(module, None, hints_for(module)))
        return model.module.eval()  # type: ignore[no-any-return]

    def dequantized(self) -> nn.Module:
        """The quantized model back in float32."""
        return self.quantizer.dequantize(self.seeded()).eval()  # type: ignore[no-any-return]
