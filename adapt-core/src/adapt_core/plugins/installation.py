"""How to install what is missing: from the folder of the repository beside the core's, or by name from an index."""

from __future__ import annotations

import importlib.metadata
import json
import shlex
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

CORE = "adapt-core"


def install_command(*distributions: str, flag: str = "") -> str:
    """The command that installs distributions, each from where :func:`source` says.

    Args:
        distributions: their names, each with its versions where these matter: ``"pluggy>=1.5"``.
        flag: one of pip's, such as ``"--upgrade"``.
    """
    return " ".join(["pip install", *filter(None, [flag]), *(shlex.quote(source(each)) for each in distributions)])


def source(requirement: str) -> str:
    """What to give pip for a distribution: a folder, an address, or what was given where it comes from an index.

    An installed distribution comes from where it was installed from, of which the installer has left a note (PEP 610).
    One that is not installed is looked for where the core was installed from: in the folder beside the core's, or in
    the same repository under version control.
    """
    from packaging.requirements import Requirement  # This and more is only needed where something is wrong.

    distribution = Requirement(requirement).name
    if folder := source_folder(distribution):
        return str(folder)
    origin, name = _origin(distribution)
    version_control = origin.get("vcs_info")
    if version_control and (name == distribution or distribution.startswith("adapt-")):
        revision = version_control.get("requested_revision") or version_control["commit_id"]
        inside = origin.get("subdirectory")
        if inside and name != distribution:
            inside = distribution
        place = f"#subdirectory={inside}" if inside else ""
        return f"{version_control['vcs']}+{origin['url']}@{revision}{place}"
    return requirement


def source_folder(distribution: str) -> Path | None:
    """The folder of this machine that holds the project of a distribution; None where there is none."""
    origin, name = _origin(distribution)
    if "dir_info" not in origin:
        return None
    from urllib.request import url2pathname

    folder = Path(url2pathname(urlsplit(origin["url"]).path))
    folder = folder if name == distribution else folder.parent / distribution
    return folder if (folder / "pyproject.toml").is_file() else None


def _origin(distribution: str) -> tuple[dict[str, Any], str]:
    """Where a distribution, or if it is not installed the core, came from, and which of the two it is.

    The first is the installer's ``direct_url.json``; it is empty for what came from an index.
    """
    for name in (distribution, CORE):
        try:
            text = importlib.metadata.distribution(name).read_text("direct_url.json")
        except importlib.metadata.PackageNotFoundError:
            continue
        return (dict(json.loads(text)) if text else {}), name
    return {}, distribution
