"""Image models of timm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, cast

import timm
from safetensors import SafetensorError
from timm.data import create_transform, resolve_model_data_config
from timm.models import save_for_hf
from torch import Tensor, nn

from adapt_core.bundles import Model
from adapt_core.errors import AdaptError, UsageError
from adapt_core.interfaces import OWN_BASE, Quantizer
from adapt_core.models.architecture import hints_for
from adapt_core.utils.files import read_json, require_permission
from adapt_core.utils.spelling import nearest
from adapt_vision.libraries.card import ADAPTER_OF_OWN, CALL, adapter_imports, saved_as
from adapt_vision.libraries.library import ImageLibrary
from adapt_vision.libraries.options import TimmModel
from adapt_vision.libraries.timm_processor import TimmProcessor, of_transformers
from adapt_vision.processing import InputForm, Processing

FAULTS = (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError, SafetensorError)
"""What timm raises for models that it cannot make or load; it states no list."""


class Timm(ImageLibrary):
    """Any model of ``timm.list_models``, with weights of the hub, of a folder that timm wrote, or of a file."""

    argument: ClassVar[str] = "x"

    @property
    def model(self) -> TimmModel:
        return cast(TimmModel, self.options)

    def label_names(self) -> list[str]:
        """As the folder's ``config.json`` has them, which this project and timm's own scripts write."""
        if not self.model.pretrained or not self._is_folder:
            return []
        try:
            config = read_json(Path(self.model.path or "") / "config.json")
        except (OSError, ValueError) as error:
            raise self._unloadable(error) from error
        return list(map(str, config.get("label_names") or ()))

    def load_processor(self, path: Path | None = None) -> TimmProcessor:
        if path is not None:
            return TimmProcessor.from_pretrained(path)
        return self._processor(self._made(pretrained=False))

    def load_model(self, names: Sequence[str], path: Path | None, quantizer: Quantizer | None) -> Model:
        if quantizer is not None:
            raise AdaptError("timm loads no quantized models", "Remove quantization, or choose transformers' library.")
        if path is not None:
            try:
                module = timm.create_model(f"local-dir:{path}", pretrained=True)
            except FAULTS as error:
                raise AdaptError(f"The model in {path} cannot be loaded: {error}") from error
            hints = hints_for(module, (), self.plan.train_head)
            return Model(module, TimmProcessor.from_pretrained(path), hints)
        module = self._made(pretrained=self.model.pretrained, num_classes=len(names))
        self._require_family(module)
        processor = self._processor(module)
        hints = hints_for(module, (), self.plan.train_head)
        stored = module.pretrained_cfg.get("num_classes")
        notices: tuple[str, ...] = ()
        if not self.model.pretrained:
            notices = (f"{self._source} starts from random weights: model.pretrained (load_model) is false.",)
        if not hints.head:
            raise AdaptError(f"{self._source} has no classifier that timm could give {len(names)} classes")
        if not self.model.pretrained or stored != len(names):
            hints = replace(hints, fresh=hints.head)
        return Model(module.float(), processor, hints, notices)

    def save_model(self, model: Model, folder: Path, names: Sequence[str]) -> None:
        """As for the hub: ``config.json`` and ``model.safetensors``, which ``local-dir:`` and the hub's names load."""
        save_for_hf(
            model.module,
            str(folder),
            model_config={"label_names": list(names)},
            safe_serialization=True,
            data_config=dict(model.processor.config),
        )
        model.processor.save_pretrained(folder)
        plain = timm.create_model(f"local-dir:{folder}", pretrained=False)
        if added := sorted(set(model.module.state_dict()) - set(plain.state_dict())):
            raise AdaptError(
                f"Merging gave {type(model.module).__name__} {len(added)} parameters that its architecture lacks, "
                f"{added[0]} among them: timm would not load them",
                "Export with save.name=state_dict or safetensors (SAVE_METHOD), or use the adapter beside its base.",
            )

    def processing(self, processor: TimmProcessor) -> Processing:
        config = processor.config
        _, height, width = config["input_size"]
        form = InputForm((height, width), config["mean"], config["std"], interpolation=config["interpolation"])
        return Processing(form, create_transform(**config), processor)

    def logits(self, module: Any, pixels: Tensor) -> Tensor:
        return cast(Tensor, module(pixels))

    def code(self, info: Mapping[str, Any], folder: Path) -> tuple[str, str]:
        kind = saved_as(folder)
        if kind == "own":
            return "adapt-core", ADAPTER_OF_OWN.format(method=self.plan.method.spec.name)
        labels = list(info["label_names"])
        read = READ + CALL.format(argument="", outputs="model(pixels)")
        if kind == "whole":
            return "timm", f"import timm\n{WHOLE}{read}".replace("LABELS", repr(labels))
        made = self._code(len(labels), folder)
        text = f"{adapter_imports(folder)}import timm\nfrom peft import PeftModel\n{made}{read}"
        return "peft", text.replace("LABELS", repr(labels))

    # ---- helpers --------------------------------------------------------------------------------------------------

    @property
    def _is_folder(self) -> bool:
        return self.model.path is not None and Path(self.model.path).is_dir()

    @property
    def _source(self) -> str:
        return self.model.path or self.model.name or ""

    def _code(self, classes: int, folder: Path) -> str:
        """Code that makes the base and puts the adapter on it."""
        if (folder / OWN_BASE).is_dir():
            return f"base = timm.create_model({f'local-dir:{OWN_BASE}'!r}, pretrained=True)\n{ON_BASE}"
        name, arguments = self._call()
        given = "".join(f", {key}={value!r}" for key, value in (arguments | self._sized(name)).items())
        made = f"base = timm.create_model({name!r}, pretrained={self.model.pretrained}, num_classes={classes}{given})\n"
        return made + ON_BASE

    def _call(self) -> tuple[str, dict[str, Any]]:
        """The name for ``timm.create_model``, and further arguments."""
        arguments: dict[str, Any] = {}
        if self._is_folder:
            if self.model.name is not None:
                raise UsageError(
                    f"model.path is the folder {self.model.path}, whose config.json names its architecture, and "
                    f"model.name is {self.model.name}",
                    "Remove model.name, or name a file of weights in model.path.",
                )
            self._require_timm_s()
            return f"local-dir:{Path(self.model.path or '').resolve()}", arguments
        if self.model.path is not None:
            if self.model.name is None:
                raise UsageError(
                    f"model.path is the file {self.model.path}, and nothing says of which architecture its weights are",
                    "Name it in model.name (MODEL_PATH), as timm does: resnet18, say.",
                )
            arguments["pretrained_cfg_overlay"] = {"file": str(Path(self.model.path).resolve())}
        return self.model.name or "", arguments

    def _require_timm_s(self) -> None:
        """Raises UsageError for a folder that transformers has written."""
        settings = Path(self.model.path or "") / "config.json"
        content = read_json(settings) if settings.is_file() else {}
        if "architecture" not in content and "model_type" in content:
            raise UsageError(
                f"model.path is the folder {self.model.path}, which holds a {content['model_type']} of transformers",
                "Set model.library (Library) to transformers.",
            )

    def _made(self, *, pretrained: bool, **arguments: Any) -> Any:
        """A model of timm for images of the size asked for. Raises AdaptError where there is none."""
        name, given = self._call()
        self._require_known(name)
        try:
            return timm.create_model(name, pretrained=pretrained, **given, **self._sized(name), **arguments)
        except FAULTS as error:
            raise self._unloadable(error) from error

    def _sized(self, name: str) -> dict[str, Any]:
        """The image size, for a model that is made for images of one, as vision transformers are."""
        if self.image_size is None:
            return {}
        sized = {"img_size": self.image_size}
        try:
            timm.create_model(name, **sized)
        except TypeError as error:
            if "img_size" in str(error):  # no argument of its class
                return {}
            raise
        return sized

    def _require_known(self, name: str) -> None:
        plain = name.split(".")[0]
        if ":" not in name and not timm.is_model(plain):
            slash = " A name with a slash is one of the hub; of timm's there it is written hf-hub:OWNER/NAME."
            raise UsageError(
                f"model.name (MODEL_PATH): timm has no model {name!r}{nearest(plain, timm.list_models())}",
                "`timm.list_models()` has all names; a model of transformers needs model.library (Library): "
                f"transformers.{slash if '/' in name else ''}",
            )

    def _require_family(self, module: nn.Module) -> None:
        family = type(module).__module__.rpartition(".")[2]
        asked = self.model.family
        if asked is not None and asked not in (family, type(module).__name__.lower()):
            raise AdaptError(
                f"model.type (model_type) is {self.model.type}, and {self._source} is of timm's family {family}",
                f"Write {family}_timm, or remove the key.",
            )

    def _processor(self, module: Any) -> TimmProcessor:
        config = dict(resolve_model_data_config(module))
        if self.model.image_processor is not None:
            config |= of_transformers(self.model.image_processor)
        if self.image_size is not None:
            config["input_size"] = (3, self.image_size, self.image_size)
        return TimmProcessor(config)

    def _unloadable(self, error: Exception) -> AdaptError:
        if self.model.path is not None and Path(self.model.path).is_file():
            require_permission(Path(self.model.path))
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        hint = "Check the name and the connection to the hub; local weights go into model.path (LOCAL_MODEL_PATH)."
        if self.model.path is not None:
            hint = "A folder holds config.json and model.safetensors, as timm.models.save_for_hf writes them."
        return AdaptError(f"The model {self._source} cannot be loaded: {reason}", hint)


READ = """
from timm.data import create_transform

settings = json.loads(open(f"{folder}/preprocessing.json").read())
transform = create_transform(**settings)
"""

WHOLE = """\
import json

folder = "."  # this folder
labels = LABELS
model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
"""

ON_BASE = """\
import json

folder = "."  # this folder
labels = LABELS
model = PeftModel.from_pretrained(base, folder).eval()
"""
