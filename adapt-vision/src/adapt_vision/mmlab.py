"""Installs MMDet and MMPose into the environment that runs it: ``python -m adapt_vision.mmlab``.

Their operators are compiled, which takes minutes and a C++ compiler. ``--wheels FOLDER`` keeps the compiled package
there, apart for each version of PyTorch and for CPU and GPU, and uses the one that fits. With a CUDA toolkit beside a
GPU the operators are built for it, unless ``--cpu`` says otherwise. ``--constraint FILE`` holds the versions of all
else.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from packaging.requirements import Requirement

from adapt_core.errors import AdaptError

OPERATORS = "onedl-mmcv==2.3.6"
"""The compiled package."""

ALONE = ("onedl-mmengine==0.10.12", "onedl-mmdetection==3.5.1", "mmpose==1.3.2", "imaug==0.4.3")
"""Installed without what they ask for: among that are packages that cannot be built, and graphical ones."""

FROM_SOURCE = "xtcocotools==1.14.3"
"""Its wheel was built for an older NumPy."""

TOOLS = ("setuptools<81", "wheel", "ninja", "cython", "pip")
"""What building takes."""


def main(arguments: list[str] | None = None) -> int:
    """The command; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m adapt_vision.mmlab", description=__doc__)
    parser.add_argument("--wheels", type=Path, help="folder that keeps the compiled package")
    parser.add_argument("--constraint", type=Path, help="file of versions, as pip reads it")
    parser.add_argument("--cpu", action="store_true", help="build for the CPU though there is a GPU")
    asked = parser.parse_args(arguments)
    try:
        install(asked.wheels, asked.constraint, cpu=asked.cpu)
    except AdaptError as error:
        print(f"{error.message}\n{error.hint}", file=sys.stderr)
        return 1
    return 0


def install(wheels: Path | None = None, constraint: Path | None = None, *, cpu: bool = False) -> None:
    """Installs everything. Raises AdaptError when a step fails, with what to do."""
    held = ["--constraint", str(constraint)] if constraint else []
    _installed(*TOOLS, "psutil", "numpy")
    _installed(*extra(), *held)
    cuda = _has_cuda() and not cpu
    with tempfile.TemporaryDirectory() as scratch:
        folder = place(wheels or Path(scratch), cuda=cuda)
        for package in ALONE:
            _pip("install", "--no-deps", "--no-build-isolation", package)
        _compiled(built(folder) or _build(folder, cuda=cuda, anew=cuda))
        if not _loads():  # pip's cache tells neither GPU from CPU nor one version of torch from another
            _compiled(_build(folder, cuda=cuda, anew=True))
            if not _loads():
                raise AdaptError(f"{OPERATORS} was compiled, and does not load", "What Python says of it is above.")
    _pip("install", "--no-deps", "--no-build-isolation", "--no-binary", "xtcocotools", FROM_SOURCE)


def extra() -> Iterator[str]:
    """What the extra ``mmlab`` of adapt-vision names: the packages that come as they are."""
    for text in importlib.metadata.requires("adapt-vision") or ():
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            requirement_of_extra = requirement.marker.evaluate({"extra": "mmlab"})
            if requirement_of_extra:
                yield f"{requirement.name}{requirement.specifier}"


def place(wheels: Path, *, cuda: bool) -> Path:
    """The folder of what was compiled beside this version of torch, for a GPU or for the CPU alone.

    Neither is in the name of a wheel, and operators that were compiled otherwise do not load, or know no GPU.
    """
    import torch

    return wheels / f"torch-{torch.__version__}-{'cuda' if cuda else 'cpu'}"


def built(folder: Path) -> Path | None:
    """The compiled package for this Python in a folder; None where there is none."""
    version = OPERATORS.partition("==")[2]
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    found = sorted(folder.glob(f"onedl_mmcv-{version}-{tag}-{tag}-*{platform.rpartition('_')[2]}.whl"))
    return found[-1] if found else None


def _build(folder: Path, *, cuda: bool, anew: bool) -> Path:
    """Compiles the package into a folder; takes it from pip's cache if that has it, unless ``anew``."""
    folder.mkdir(parents=True, exist_ok=True)
    print("Compiling the operators of MMCV: about 12 minutes on two cores.", flush=True)
    environment = {"MMCV_WITH_OPS": "1", "FORCE_CUDA": "1" if cuda else "0"}
    plain = ("--no-deps", "--no-build-isolation", "--no-binary", "onedl-mmcv", *(["--no-cache-dir"] if anew else []))
    _pip("wheel", *plain, "--wheel-dir", str(folder), OPERATORS, environment=environment)
    wheel = built(folder)
    if wheel is None:
        raise AdaptError(f"Building {OPERATORS} has left no wheel for this Python in {folder}")
    return wheel


def _compiled(wheel: Path) -> None:
    """Installs it, also over one of the same version that was compiled otherwise."""
    _pip("install", "--no-deps", "--force-reinstall", str(wheel))


def _loads() -> bool:
    """Whether the operators that are installed load beside this version of torch."""
    return subprocess.run([sys.executable, "-c", "import mmcv.ops"], check=False).returncode == 0


def _has_cuda() -> bool:
    """Whether operators for a GPU can be built and used."""
    import torch

    return torch.cuda.is_available() and ("CUDA_HOME" in os.environ or shutil.which("nvcc") is not None)


def _installed(*requirements: str) -> None:
    """Installs what comes as it is; with uv where an environment has no pip."""
    if importlib.util.find_spec("pip") is not None:
        _pip("install", *requirements)
        return
    uv = shutil.which("uv")
    if uv is None:
        raise AdaptError("This environment has neither pip nor uv", "Install pip: python -m ensurepip")
    _run([uv, "pip", "install", "--python", sys.executable, *requirements])
    importlib.invalidate_caches()


def _pip(*arguments: str, environment: Mapping[str, str] | None = None) -> None:
    _run([sys.executable, "-m", "pip", *arguments], environment)


def _run(command: list[str], environment: Mapping[str, str] | None = None) -> None:
    # The environment's own folder of commands comes first: compiling calls ninja.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    done = subprocess.run(command, env={**os.environ, "PATH": path, **(environment or {})}, check=False)
    if done.returncode != 0:
        raise AdaptError(
            f"This failed, with exit code {done.returncode}: {' '.join(command)}",
            "Its output is above. Compiling needs a C++ compiler: on Debian and Ubuntu, apt install g++.",
        )


if __name__ == "__main__":
    sys.exit(main())
