"""What ``adapt doctor`` looks at."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from packaging.requirements import Requirement

from adapt_core.kinds import Kind
from adapt_core.plugins.installation import install_command
from adapt_core.plugins.registry import Registry, missing_modules

LIBRARIES = (
    "torch",
    "transformers",
    "peft",
    "accelerate",
    "datasets",
    "safetensors",
    "numpy",
    "pydantic",
)
"""Libraries whose versions explain most differences between two machines."""


@dataclass(frozen=True)
class Device:
    """Something that trains.

    Attributes:
        name: as PyTorch names it.
        description: what it is, with its memory where it has its own.
    """

    name: str
    description: str


@dataclass(frozen=True)
class Fault:
    """Something installed that does not work.

    Attributes:
        what: what is wrong.
        remedy: the command, or the step, that puts it right.
    """

    what: str
    remedy: str


@dataclass(frozen=True)
class Missing:
    """One of Adapt's distributions, or a library of models that a task can use, that is not installed.

    Attributes:
        distribution: its name.
        offers: the kinds and names of its plugins, or the tasks.
        command: the command that installs it.
    """

    distribution: str
    offers: str
    command: str


@dataclass(frozen=True)
class Diagnosis:
    """What was found.

    Attributes:
        versions: of Python, Adapt's distributions and the main libraries; ``"not installed"`` for those absent.
        devices: the CPU first.
        free_disk_bytes: where the command runs.
        faults: what is installed and does not work.
        not_installed: Adapt's distributions, and libraries of models, that could be added.
    """

    versions: dict[str, str]
    devices: list[Device]
    free_disk_bytes: int
    faults: list[Fault]
    not_installed: list[Missing]

    @property
    def ok(self) -> bool:
        """Whether all that is installed works. A distribution that could be added is no fault."""
        return not self.faults

    def as_dict(self) -> dict[str, object]:
        """The form that ``adapt doctor --json`` prints."""
        return {"ok": self.ok, **asdict(self)}


def diagnose() -> Diagnosis:
    """Looks at everything. Imports torch."""
    registry = Registry.load()
    distributions = sorted(
        {"adapt-core", *(listing.distribution for listing in registry.catalogue())}
        | {entry.distribution for entry in registry.entries()}
        | {broken.distribution for broken in registry.broken}
    )
    versions = {"python": platform.python_version()}
    versions |= {name: _version(name) or "not installed" for name in (*distributions, *LIBRARIES)}
    devices, device_faults = _devices()
    faults = [*_broken(registry), *_unmet(distributions), *device_faults]
    return Diagnosis(versions, devices, shutil.disk_usage(".").free, faults, list(_not_installed(registry)))


def _again(distribution: str) -> str:
    return install_command(distribution, flag="--force-reinstall")


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _broken(registry: Registry) -> Iterator[Fault]:
    """Plugins that could not be loaded or cannot be used."""
    for broken in registry.broken:
        yield Fault(str(broken), f"{_again(broken.distribution)}, or report it to its authors")
    for entry, examined in zip(registry.entries(), registry.examined(), strict=True):
        if examined.error:
            what = f"the {entry.kind.value} {entry.spec.name!r} of {entry.distribution} {entry.version} cannot be used"
            clashes = entry.error is not None
            remedy = "uninstall one of them" if clashes else _again(entry.distribution)
            yield Fault(f"{what}: {examined.error}", remedy)


def _unmet(distributions: list[str]) -> Iterator[Fault]:
    """Requirements of the installed distributions that the environment does not meet."""
    for distribution in distributions:
        if _version(distribution) is None:
            continue
        for text in importlib.metadata.requires(distribution) or ():
            requirement = Requirement(text)
            if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
                continue
            version = _version(requirement.name)
            if version is None or not requirement.specifier.contains(version, prereleases=True):
                needed = f"{requirement.name}{requirement.specifier}"
                state = f"{version} is installed" if version else "it is not installed"
                yield Fault(f"{distribution} needs {needed}; {state}", install_command(needed))


def _devices() -> tuple[list[Device], list[Fault]]:
    """The devices that PyTorch sees, the CPU first."""
    devices = [Device("cpu", f"{platform.machine()}, {os.cpu_count()} cores")]
    try:
        import torch
    except (ImportError, OSError) as error:
        return devices, [Fault(f"PyTorch cannot be imported: {error}", _again("torch"))]
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        devices.append(Device(f"cuda:{index}", f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"))
    if torch.backends.mps.is_available():
        devices.append(Device("mps", "Apple GPU, shares the computer's memory"))
    return devices, []


def _not_installed(registry: Registry) -> Iterator[Missing]:
    """Adapt's own distributions that are absent."""
    offers: dict[str, list[str]] = {}
    for listing in registry.catalogue():
        offers.setdefault(listing.distribution, []).append(f"{listing.kind.value} {listing.name}")
    for distribution, names in offers.items():
        if _version(distribution) is None:
            yield Missing(distribution, ", ".join(names), install_command(distribution))
    tasks: dict[tuple[str, str], list[str]] = {}
    for entry in registry.entries(Kind.TASK):
        for library in getattr(entry.spec, "libraries", ()):
            if missing_modules(library.requires, library.install):
                tasks.setdefault((library.name, library.install), []).append(entry.spec.name)
    for (name, install), names in tasks.items():
        yield Missing(name, f"models for {', '.join(names)}", install)
