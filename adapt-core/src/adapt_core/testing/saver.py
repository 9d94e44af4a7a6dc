"""What a saver promises, as tests to inherit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest
import torch

from adapt_core.bundles import Model
from adapt_core.config.validate import validate_options
from adapt_core.errors import AdaptError
from adapt_core.interfaces import Quantizer, Saver, Task
from adapt_core.kinds import Kind
from adapt_core.models.architecture import hints_for
from adapt_core.models.pretrained import save_model
from adapt_core.plugins.registry import Registry
from adapt_core.testing.models import MODELS, Tiny
from adapt_core.testing.promises import outputs_of


@dataclass(frozen=True)
class TinyTask:
    """As much of a task as a saver needs: the architecture, with other weights than those that were saved."""

    tiny: Tiny

    def load_model(
        self, info: Mapping[str, Any], path: Path | None = None, quantizer: Quantizer | None = None
    ) -> Model:
        """The tiny model with the weights of another seed, or one from a folder."""
        module: Any = self.tiny.seeded(seed=1)
        return Model(type(module).from_pretrained(path) if path else module, None, hints_for(module))

    def save_model(self, model: Model, folder: Path) -> None:
        """As a model of transformers."""
        save_model(model, folder)


class SaverContract:
    """Subclass it, name the saver, and pytest runs it on every tiny model.

    Attributes:
        saver: the plugin's name.
        options: its options, as in a configuration.
        works_on: the names of the models in :data:`adapt_core.testing.models.MODELS` that it can write; it must refuse
            the others with a reason.
    """

    saver: ClassVar[str]
    options: ClassVar[Mapping[str, Any]] = {}
    works_on: ClassVar[tuple[str, ...]] = tuple(MODELS)

    @pytest.mark.parametrize("name", list(MODELS))
    def test_what_it_saves_is_the_model(self, name: str, tmp_path: Path) -> None:
        """Inside the folder, as the path that it returns, with the same outputs; the model itself is left as it is."""
        tiny = MODELS[name]
        saver, spec = self._saver()
        module, task = tiny.seeded(), cast(Task, TinyTask(tiny))
        if name not in self.works_on:
            with pytest.raises(AdaptError):
                saver.save(Model(module, None, hints_for(module)), tmp_path, task)
            return
        expected = outputs_of(tiny, module)
        path = saver.save(Model(module, None, hints_for(module)), tmp_path, task)
        assert path.exists()
        assert path.resolve().is_relative_to(tmp_path.resolve()), "it wrote outside its folder"
        assert torch.equal(outputs_of(tiny, module), expected), "saving changed the model"
        loaded = saver.load(path, task, {})
        assert torch.allclose(outputs_of(tiny, loaded.module), expected, atol=1e-6)
        if not spec.pickle:
            for file in (each for each in tmp_path.rglob("*") if each.suffix in (".pt", ".pth", ".bin", ".pkl")):
                torch.load(file, map_location="cpu", weights_only=True)  # raises where more than tensors is pickled

    def test_a_half_of_a_file_is_not_loaded(self, tmp_path: Path) -> None:
        """An error, and no model with weights that nobody trained."""
        tiny = MODELS[self.works_on[0]]
        saver, _ = self._saver()
        module, task = tiny.seeded(), cast(Task, TinyTask(tiny))
        path = saver.save(Model(module, None, hints_for(module)), tmp_path, task)
        files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
        largest = max(files, key=lambda each: each.stat().st_size)
        content = largest.read_bytes()
        largest.write_bytes(content[: len(content) // 2])
        with pytest.raises(Exception):  # noqa: B017  # whatever the format's library raises
            saver.load(path, task, {})

    def _saver(self) -> tuple[Saver, Any]:
        registry = Registry.load()
        entry = registry.get(Kind.SAVER, self.saver)
        options = validate_options(registry.options(entry.spec), dict(self.options), f"saver {self.saver}")
        return registry.load_target(entry)(options), entry.spec
