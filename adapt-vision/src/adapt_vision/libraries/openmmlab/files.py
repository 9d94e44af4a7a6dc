"""The files of a saved model: its configuration, read without running it, and its weights, read without unpickling."""

from __future__ import annotations

import ast
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor

from adapt_core.errors import AdaptError
from adapt_core.utils.files import require_permission, write_text

CONFIG, WEIGHTS = "config.py", "model.pth"
"""What the libraries' ``init_detector`` and ``init_model`` take."""

KEYPOINTS = "keypoint_names"
"""Where a checkpoint of Adapt names the keypoints: what MMPose keeps there is more than names."""


class Dropped:
    """Stands for what MMEngine's Runner adds to its checkpoints about the log, and what nothing here reads."""

    def __init__(self, *_: Any, **__: Any) -> None:
        """Takes anything."""

    def __setstate__(self, state: Any) -> None:
        """Keeps nothing."""


HARMLESS: list[Any] = [
    np.ndarray(0).__reduce__()[0],
    np.float64(0).__reduce__()[0],
    np.ndarray,
    np.dtype,
    *(type(np.dtype(kind)) for kind in (np.float32, np.float64, np.int32, np.int64, np.uint32)),
    slice,
    (Dropped, "mmengine.logging.history_buffer.HistoryBuffer"),
    # Its pickles look functions up by name. MMEngine lets them, which lets a file run what it likes.
    (Dropped, "builtins.getattr"),
]
"""What a checkpoint may hold beside tensors and plain data."""


def write_config(config: Config, folder: Path) -> None:
    """Writes a configuration as a Python file of literals, as MMEngine reads it."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / CONFIG, "".join(f"{name} = {_literal(value)}\n" for name, value in config.items()))


def read_config(folder: Path) -> Config:
    """Reads what :func:`write_config` wrote. It is not run, as MMEngine would.

    Raises:
        AdaptError: it is not there, or holds more than literals.
    """
    file = folder / CONFIG
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        return Config({_name(each): ast.literal_eval(each.value) for each in tree.body})  # type: ignore[attr-defined]
    except (OSError, SyntaxError, ValueError, AttributeError) as error:
        raise AdaptError(
            f"{file} cannot be read: {error}",
            "A folder that Adapt has written holds it. A configuration of your own goes into model.config.",
        ) from error


def _name(statement: ast.stmt) -> str:
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        raise ValueError(f"line {statement.lineno} assigns no value to a name")
    return ast.unparse(statement.targets[0])


def _literal(value: Any) -> str:
    """A value of a configuration as Python source, a key a line."""
    if isinstance(value, Mapping):
        return "{" + "".join(f"{name!r}: {_literal(each)},\n" for name, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        items = ", ".join(map(_literal, value))
        return f"[{items}]" if isinstance(value, list) else f"({items},)" if value else "()"
    if value is not None and not isinstance(value, str | int | float | bool):
        raise AdaptError(
            f"The configuration holds {value!r}, which cannot be written down",
            "Name classes by their registered names.",
        )
    return repr(value)


def read_checkpoint(file: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The weights of a checkpoint by name, and what it says of its data set.

    The file is read with ``weights_only=True``, tensors and plain data alone: what would run code is refused.
    MMEngine's own loader unpickles such a file after a warning.

    Raises:
        AdaptError: it is no such file.
    """
    require_permission(file)
    try:
        with torch.serialization.safe_globals(HARMLESS):
            content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise AdaptError(
            f"The checkpoint {file} holds more than weights, and loading it could run code: {_first_line(error)}",
            "Save its state_dict alone with torch.save, on a machine where you trust it.",
        ) from error
    except (OSError, RuntimeError, ValueError, EOFError, KeyError) as error:
        raise AdaptError(f"The checkpoint {file} cannot be read: {_first_line(error)}") from error
    state = content.get("state_dict", content.get("model", content)) if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping) or not state or not all(isinstance(each, Tensor) for each in state.values()):
        raise AdaptError(
            f"The checkpoint {file} holds no weights by name",
            "Give a .pth file of the library, with state_dict in it, or a state_dict itself.",
        )
    meta = content.get("meta", {}) if "state_dict" in content else {}
    named = meta.get("dataset_meta", meta) if isinstance(meta, Mapping) else {}
    return {name.removeprefix("module."): each for name, each in state.items()}, dict(named)


def classes_of(meta: Mapping[str, Any]) -> list[str]:
    """The names of the classes in what a checkpoint says of its data set; none where it has none."""
    found = next((meta[key] for key in ("classes", "CLASSES", KEYPOINTS) if key in meta), ())
    return [str(each) for each in found] if isinstance(found, Sequence) and not isinstance(found, str) else []


def write_checkpoint(state: Mapping[str, Tensor], meta: Mapping[str, Any], folder: Path) -> None:
    """Writes weights, and what is to be known beside them, as the libraries read them."""
    plain = {name: each.detach().cpu() for name, each in state.items()}
    torch.save({"state_dict": plain, "meta": dict(meta)}, folder / WEIGHTS)


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
