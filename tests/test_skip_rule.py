"""The rule of conftest.py: a skip that is not listed with its reason fails the session."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LISTED = '[[skip]]\ntest = "*::test_one"\nreason = "no such thing at *"\n'


def session(folder: Path, test: str, listed: str = LISTED) -> subprocess.CompletedProcess[str]:
    """Runs one test file in a checkout that holds only the rule and a list of skips."""
    (folder / "tests").mkdir()
    (folder / "tests" / "skips.toml").write_text(listed)
    shutil.copy(ROOT / "conftest.py", folder)
    (folder / "test_it.py").write_text("import pytest\n" + test)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "test_it.py"]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # starts faster
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("test", "unlisted"),
    [
        ("def test_one(): pytest.skip('no such thing at home')", None),
        ("def test_one(): pytest.skip('too slow')", "test_it.py::test_one: too slow"),
        ("def test_two(): pytest.skip('no such thing at home')", "test_it.py::test_two: no such thing at home"),
        ("@pytest.mark.xfail(reason='known')\ndef test_one(): assert False", "test_it.py::test_one: known"),
        ("pytest.importorskip('no_such_module')", "no_such_module"),
    ],
    ids=["listed", "another reason", "another test", "expected failure", "whole module"],
)
def test_only_listed_skips_pass(tmp_path: Path, test: str, unlisted: str | None) -> None:
    result = session(tmp_path, f"def test_fine(): pass\n{test}\n")
    if unlisted is None:
        assert result.returncode == 0, result.stdout
        assert "SKIP NOT LISTED" not in result.stdout
    else:
        assert result.returncode == 1, result.stdout
        reported = [line for line in result.stdout.splitlines() if line.startswith("SKIP NOT LISTED")]
        assert len(reported) == 1
        assert unlisted in reported[0]


def test_tests_of_real_data_may_be_skipped_where_it_is_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADAPT_TEST_DATA", str(tmp_path / "nowhere"))
    listed = (ROOT / "tests" / "skips.toml").read_text()
    result = session(tmp_path, "def test_fine(): pass\ndef test_real(test_data): pass\n", listed)
    assert "1 passed, 1 skipped" in result.stdout
    assert result.returncode == 0, result.stdout
