"""The README of a saved model: how to use it without Adapt."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import transformers

from adapt_core.interfaces import OWN_BASE
from adapt_core.models.pretrained import kept_whole, model_source
from adapt_core.plan.run_plan import RunPlan
from adapt_core.utils.files import read_json

ADAPTER = """\
{imports}from peft import PeftModel
from transformers import {auto_class}, AutoTokenizer

folder = "."  # this folder
{before}tokenizer = AutoTokenizer.from_pretrained(folder)
base = {auto_class}.from_pretrained(
    {base!r},
{arguments}    pad_token_id=tokenizer.pad_token_id,
    {further},
)
model = PeftModel.from_pretrained(base, folder).eval()
"""

OWN = """\
import adapt_core  # the adapter is of the method {method}, whose plugin must be installed

run = adapt_core.load_run("..")  # the run's folder
"""

WHOLE = """\
{imports}from transformers import {auto_class}, AutoTokenizer

folder = "."  # this folder
model = {auto_class}.from_pretrained(folder).eval()
tokenizer = AutoTokenizer.from_pretrained(folder)
"""


def trained_on(info: Mapping[str, Any], rows: str) -> str:
    """How many rows a model was trained on, as ``"1,200 rows"`` or ``"a stream of rows"``."""
    count = info["rows"].get("train")
    return f"a stream of {rows}" if count is None else f"{count:,} {rows}"


def labelled_card(
    plan: RunPlan,
    info: Mapping[str, Any],
    folder: Path,
    *,
    auto_class: str,
    use: str,
    pipeline: str,
    called: str,
    about: str,
    imports: tuple[str, ...] = (),
) -> str:
    """The card of a model with one output a label: see :func:`model_card`.

    Args:
        plan: of the run.
        info: ``data.json``, with ``label_names``.
        folder: what was saved.
        auto_class: the name of the class of transformers that loads the base.
        use: code with ``model`` and ``tokenizer``.
        pipeline: the hub's name of the task.
        called: what the model is, for the title.
        about: what it was trained on; the labels' names follow.
        imports: modules of the standard library that ``use`` needs.
    """
    names = list(info["label_names"])
    return model_card(
        plan,
        folder,
        auto_class=auto_class,
        use=use,
        pipeline=pipeline,
        called=called,
        about=f"{about}\n{', '.join(map(str, names))}.",
        imports=imports,
        before=f"labels = {names!r}\n",
        arguments=("num_labels=len(labels)", "id2label=dict(enumerate(labels))"),
        config={"num_labels": len(names)},
        own='print(run.predict(["a text"]))',
    )


def model_card(
    plan: RunPlan,
    folder: Path,
    *,
    auto_class: str,
    use: str,
    pipeline: str,
    called: str,
    about: str,
    own: str,
    imports: tuple[str, ...] = (),
    before: str = "",
    arguments: tuple[str, ...] = (),
    config: Mapping[str, Any] | None = None,
) -> str:
    """Markdown with front matter as the hub reads it, and code that loads the folder.

    Args:
        plan: of the run.
        folder: what was saved: an adapter in PEFT's format, one in the method's own, or a whole model.
        auto_class: the name of the class of transformers that loads the base.
        use: code with ``model`` and ``tokenizer``.
        pipeline: the hub's name of the task.
        called: what the model is, for the title.
        about: what it was trained on, behind the base's name.
        own: code with ``run``, for an adapter in a format of the method's own.
        imports: modules of the standard library that ``use`` needs.
        before: code that stands before the base is loaded.
        arguments: further arguments of loading the base, as Python source.
        config: values that these set in the model's configuration.
    """
    base = model_source(plan.model)
    standard = "".join(f"import {name}\n" for name in imports)
    if (folder / "adapter_config.json").is_file():
        library, code = "peft", ADAPTER
    elif (folder / "config.json").is_file():
        library, code = "transformers", WHOLE
    else:
        library, code, use = "adapt-core", OWN, own
    quantized = _quantized(plan, auto_class, config or {}) if library == "peft" else ""
    further = _imports(folder, quantized=bool(quantized)) if library == "peft" else ""
    code = code.format(
        imports=standard + ("\n" if standard else "") + further,
        auto_class=auto_class,
        further=quantized or 'dtype="float32"',
        before=before,
        arguments="".join(f"    {each},\n" for each in arguments),
        base=OWN_BASE if (folder / OWN_BASE).is_dir() else base,
        method=plan.method.spec.name,
    )
    return "\n".join(
        [
            "---",
            f"library_name: {library}",
            f"base_model: {base}",
            f"pipeline_tag: {pipeline}",
            "---",
            "",
            f"# {called}, fine-tuned with {plan.method.spec.name}",
            "",
            f"From `{base}`, {about}",
            "",
            "```python",
            (code + use).rstrip(),
            "```",
            "",
        ]
    )


def _imports(folder: Path, *, quantized: bool) -> str:
    """What the code needs beside PEFT: the libraries of its arguments, and Adapt for a tuner of Adapt's own."""
    from adapt_core.peft.registration import OwnPeftType

    kind = read_json(folder / "adapter_config.json")["peft_type"]
    lines = ["import torch", "import transformers"] if quantized else []
    if kind in OwnPeftType.__members__:
        lines.append(f"import adapt_core.peft  # makes {kind} known to PEFT; adapt merge gives a model without it")
    return "".join(f"{line}\n" for line in lines)


def _quantized(plan: RunPlan, auto_class: str, config: Mapping[str, Any]) -> str:
    """The arguments that load the base as the run had it, as Python source; empty where it is not quantized."""
    if plan.quantizer is None:
        return ""
    settings = transformers.AutoConfig.from_pretrained(model_source(plan.model), **config)
    keep = kept_whole(getattr(transformers, auto_class), settings)
    code: str = plan.quantizer.make().load_code(keep)
    return code
