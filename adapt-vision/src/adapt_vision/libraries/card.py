"""What the READMEs of saved image models have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from adapt_core.utils.files import read_json

ADAPTER_OF_OWN = """\
import adapt_core  # the adapter is of the method {method}, whose plugin must be installed

run = adapt_core.load_run("..")  # the run's folder
labels = run.info["label_names"]
"""

WHOLE = """\
from transformers import AutoImageProcessor, {auto}

folder = "."  # this folder
model = {auto}.from_pretrained(folder).eval()
labels = model.config.id2label
"""

ADAPTER = """\
{imports}import torch
from peft import PeftModel
from transformers import AutoImageProcessor, {auto}

folder = "."  # this folder
labels = {labels!r}
base = {auto}.from_pretrained(
    {base!r},
    num_labels=len(labels),
    ignore_mismatched_sizes=True,
{further})
model = PeftModel.from_pretrained(base, folder).eval()
"""

CALL = """
import sys

import torch
from PIL import Image, ImageOps

for path in sys.argv[1:]:
    image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    pixels = transform(image{argument})[None]
    with torch.inference_mode():
        logits = {outputs}
    scores = logits.softmax(-1)[0]
    print(path, labels[int(scores.argmax())], float(scores.max()))
"""


def saved_as(folder: Path) -> Literal["adapter", "whole", "own"]:
    """What a folder holds: an adapter of PEFT, a whole model of a library, or something of the method's own."""
    if (folder / "adapter_config.json").is_file():
        return "adapter"
    return "whole" if (folder / "config.json").is_file() else "own"


def adapter_imports(folder: Path) -> str:
    """The line that makes a tuner of Adapt's own known to PEFT; empty where PEFT has the tuner itself."""
    from adapt_core.peft.registration import OwnPeftType

    kind = read_json(folder / "adapter_config.json")["peft_type"]
    if kind not in OwnPeftType.__members__:
        return ""
    return f"import adapt_core.peft  # makes {kind} known to PEFT; adapt merge gives a model without it\n"
