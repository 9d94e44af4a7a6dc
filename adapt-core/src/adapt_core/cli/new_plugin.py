"""``adapt new-plugin``: a package with a method of one's own, to start from."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from adapt_core.errors import UsageError

TEMPLATES = Path(__file__).parent / "method_package"


def package_files(name: str) -> dict[str, str]:
    """The files of a package with a method, by their path in it."""
    package = f"adapt_{name}"
    words = {
        "name": name,
        "upper": name.upper(),
        "class": "".join(part.capitalize() for part in name.split("_")),
        "package": package,
        "distribution": package.replace("_", "-"),
    }
    places = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        "plugin.py": f"src/{package}/plugin.py",
        "options.py": f"src/{package}/options.py",
        "method.py": f"src/{package}/method.py",
        "test_method.py": "tests/test_method.py",
    }
    files = {f"src/{package}/__init__.py": ""}
    for template, place in places.items():
        text = (TEMPLATES / f"{template}.in").read_text(encoding="utf-8")
        for word, value in words.items():
            text = text.replace(f"{{{{{word}}}}}", value)
        files[place] = text
    return files


@click.command("new-plugin")
@click.argument("kind", type=click.Choice(["method"]))
@click.argument("name")
@click.option("-o", "--output", type=click.Path(file_okay=False), help="The new folder; by default adapt-NAME here.")
def new_plugin(kind: str, name: str, output: str | None) -> None:
    """Write a package with a plugin of KIND called NAME, which works, is tested, and is yours to change.

    It trains the biases of a model. Install it with pip, and adapt plugins lists it beside Adapt's own.
    """
    from adapt_core.kinds import Kind
    from adapt_core.plugins.registry import Registry

    if not (name.isascii() and name.isidentifier() and name == name.lower() and not name.startswith("_")):
        raise UsageError(f"{name!r} is no name for a plugin.", "Use lower-case letters, digits and _, as in row_scale.")
    if Registry.load().has(Kind(kind), name):
        raise UsageError(f"A {kind} named {name} is installed already.", "Choose another name.")
    files = package_files(name)
    folder = Path(output or f"adapt-{name.replace('_', '-')}")
    if folder.exists():
        raise UsageError(f"{folder} exists and is not overwritten.", "Name another folder with --output.")
    for place, text in files.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(text, encoding="utf-8")
    click.echo(f"wrote {folder}", err=True)
    # pip looks a bare name up in the package index, where it may be somebody else's.
    place = shlex.quote(str(folder) if folder.is_absolute() else f"./{folder.as_posix()}")
    click.echo(f"pip install {place} && adapt explain {kind} {name}")
