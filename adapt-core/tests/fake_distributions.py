"""Distributions made for a test, laid out on disk as an installer lays them out."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

Install = Callable[..., None]
"""What the fixture ``fake`` gives."""


def install(
    site: Path,
    name: str,
    version: str,
    modules: dict[str, str],
    entry_points: dict[str, str],
    requires: tuple[str, ...] = (),
) -> None:
    """Installs a distribution into a folder that is, or will be, on ``sys.path``.

    Args:
        site: the folder.
        name: of the distribution.
        version: of the distribution.
        modules: source by dotted name; one that ends in ``.__init__`` is a package.
        entry_points: values by name, in the group ``adapt``.
        requires: what it depends on.
    """
    for module, source in modules.items():
        file = site.joinpath(*module.split(".")).with_suffix(".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(source), encoding="utf-8")
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    headers = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    headers += [f"Requires-Dist: {requirement}" for requirement in requires]
    (info / "METADATA").write_text("\n".join([*headers, ""]), encoding="utf-8")
    lines = ["[adapt]", *(f"{key} = {value}" for key, value in entry_points.items())]
    (info / "entry_points.txt").write_text("\n".join([*lines, ""]), encoding="utf-8")


def method_plugin(name: str, target: str = "fractions:Fraction", **fields: object) -> str:
    """The source of a plugin that offers one method."""
    arguments: dict[str, object] = {"name": name, "summary": "A test.", "target": target}
    arguments |= {"head": "beside", "saves": "adapter", "learning_rate": 0.01}
    given = ", ".join(f"{key}={value!r}" for key, value in (arguments | fields).items())
    return f"""\
from adapt_core.hookspecs import hookimpl
from adapt_core.kinds import MethodSpec

@hookimpl
def adapt_methods():
    yield MethodSpec({given})
"""


def task_plugin(name: str, options: str = "", dataset: str = "") -> dict[str, str]:
    """The modules of a plugin that offers one task, with the fields of its option models as source."""
    return {
        f"{name}_plugin": f"""\
from adapt_core.engines.spec import TRAINER
from adapt_core.hookspecs import hookimpl
from adapt_core.kinds import Library, TaskSpec

@hookimpl
def adapt_tasks():
    yield TaskSpec(
        name={name!r},
        summary="A test task.",
        target="fractions:Fraction",
        libraries=(Library(name="transformers", engine=TRAINER),),
        options="{name}_options:TaskOptions",
        dataset="{name}_options:Data",
    )
""",
        f"{name}_options": f"""\
from adapt_core.config.sections import DatasetOptions
from adapt_core.options import Options, option

class TaskOptions(Options):
    {options or "pass"}

class Data(DatasetOptions):
    {dataset or "pass"}
""",
    }
