"""What a method promises, as tests to inherit."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapt_core.registry import Registry
from adapt_core.testing.layers import LAYERS
from adapt_core.testing.models import MODELS, Tiny
from adapt_core.testing.promises import MethodPromises


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
    """

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

    @pytest.mark.parametrize("layer", list(LAYERS))
    def test_it_adapts_the_types_of_layers_that_it_declares_and_no_others(self, layer: str, tmp_path: Path) -> None:
        """Each as the one target in a model of that layer; a method that declares none adapts any that it is told to.

        A method that has no option ``target_modules`` cannot be told, and declares none.
        """
        declared = self._spec().module_types
        adapted = declared if self.layer_types is None else self.layer_types
        if "target_modules" not in Registry.load().options(self._spec()).model_fields:
            assert not declared, "module_types are declared, but there is no option target_modules"
        elif not adapted or layer in adapted:
            self._keeps_its_promises(LAYERS[layer], tmp_path)
        else:
            self._refuses(LAYERS[layer])
