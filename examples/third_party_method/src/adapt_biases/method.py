from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import nn

from adapt_biases.options import BiasesOptions
from adapt_core.bundles import Hints
from adapt_core.errors import AdaptError
from adapt_core.interfaces import Method
from adapt_core.models.batch_norm import hold_statistics, release_statistics

FILE = "biases.safetensors"


class Biases(Method):
    """Trains the biases, and the head beside them where it is new or not to be left alone."""

    options: BiasesOptions

    def apply(self, module: nn.Module, hints: Hints) -> nn.Module:
        head = hints.fresh if hints.train_head is False else (*hints.fresh, *hints.head)
        found = False
        for name, parameter in module.named_parameters():
            beside = name.startswith(tuple(f"{part}." for part in head))
            bias = name.endswith(".bias") and (self.options.norms or "norm" not in name.lower())
            parameter.requires_grad_(bias or beside)
            found |= bias and not beside
        if not found:
            raise AdaptError("biases: the model has no biases outside its head", "Choose another method.")
        hold_statistics(module, trained=True)  # of batch normalisation: they are not in the file below
        return module

    def save(self, module: nn.Module, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        trained = {name: value for name, value in module.named_parameters() if value.requires_grad}
        save_file({name: value.detach().cpu().contiguous() for name, value in trained.items()}, folder / FILE)

    def load(self, module: nn.Module, folder: Path, hints: Hints) -> nn.Module:
        unknown = module.load_state_dict(load_file(folder / FILE), strict=False).unexpected_keys
        if unknown:
            raise AdaptError(f"{folder / FILE} is of another model: this one has no {', '.join(unknown)}")
        return module

    def merge(self, module: nn.Module) -> nn.Module:
        release_statistics(module)
        return module
