"""What a run says of the machine it ran on, and whether the machine has room for it."""

from __future__ import annotations

import getpass
import json
import platform
import shutil
import subprocess
import sys
from collections import namedtuple
from importlib import metadata
from pathlib import Path

import pytest
from fake_distributions import install

from adapt_core.errors import AdaptError
from adapt_core.pipeline.environment import describe_environment, git_state, installed_packages, peak_memory_bytes
from adapt_core.pipeline.resources import require_space
from adapt_core.utils.files import to_json

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_the_environment_says_versions_device_and_threads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    found = json.loads(to_json(describe_environment()))
    assert found["python"] == platform.python_version()
    assert found["packages"]["torch"] == metadata.version("torch")
    assert found["packages"]["pydantic"] == metadata.version("pydantic")
    assert found["device"]["type"] == ("cuda" if torch.cuda.is_available() else "cpu")
    assert found["device"]["threads"] == torch.get_num_threads()
    assert found["device"]["memory_bytes"] > 100_000_000
    assert found["device"]["name"]
    assert found["git"] is None


def test_of_two_installed_versions_the_one_that_is_used_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for site, version in (("later", "1.0"), ("first", "2.0")):
        install(tmp_path / site, "Twice.There", version, {}, {})
        monkeypatch.syspath_prepend(tmp_path / site)
    assert installed_packages()["Twice.There"] == metadata.version("Twice.There") == "2.0"


def test_the_environment_names_neither_user_nor_machine_nor_path(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.setattr(platform, "node", lambda: "secret-host")
    text = to_json({**describe_environment(), "packages": None})
    for private in (str(Path.home()), str(Path.cwd()), f'"{getpass.getuser()}"', "secret-host"):
        assert private not in text


@needs_git
def test_the_state_of_the_code_is_its_commit_and_whether_a_tracked_file_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    git(tmp_path, "init", "--quiet")
    assert git_state() is None
    (tmp_path / "file").write_text("one")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "--quiet", "--message", "first")
    git(tmp_path, "remote", "add", "origin", "https://token@example.org/secret")
    commit = git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "untracked").write_text("")
    assert git_state() == {"commit": commit, "dirty": False}
    (tmp_path / "file").write_text("two")
    assert git_state() == {"commit": commit, "dirty": True}


def test_without_git_there_is_no_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state() is None


PEAK = """
import sys
from adapt_core.pipeline.environment import peak_memory_bytes
before = peak_memory_bytes()
held = bytearray(100_000_000)
del held
print(before, peak_memory_bytes(), "torch" in sys.modules)
"""


def test_the_peak_is_of_this_process_and_stays_after_memory_is_given_back() -> None:
    ballast = bytearray(b"x") * 300_000_000  # a process must not be charged with what started it
    printed = subprocess.run([sys.executable, "-c", PEAK], check=True, capture_output=True, text=True).stdout.split()
    before, after = int(printed[0]), int(printed[1])
    assert before < len(ballast)
    assert 95_000_000 < after - before < 150_000_000
    assert printed[2] == "False"


def test_the_peak_of_this_process_is_at_least_what_it_holds() -> None:
    ballast = bytearray(b"x") * 50_000_000
    assert peak_memory_bytes() > len(ballast)


# ---- disk -----------------------------------------------------------------------------------------------------------

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def one_gigabyte_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda place: Usage(2 * 10**9, 10**9, 10**9))


@pytest.mark.usefixtures("one_gigabyte_free")
def test_a_disk_with_just_enough_room_is_enough() -> None:
    require_space(Path("runs/a"), [("5 checkpoints", 600_000_000), ("model/", 400_000_000)])


@pytest.mark.usefixtures("one_gigabyte_free")
def test_a_disk_that_is_too_full_is_refused_with_what_needs_how_much() -> None:
    with pytest.raises(AdaptError) as refused:
        require_space(Path("runs/a"), [("5 checkpoints", 2_500_000_000), ("model/", 90_000_000)])
    assert refused.value.message.splitlines() == [
        f"The disk is too full for {Path('runs/a')}: 2.6 GB needed, 1.0 GB free.",
        "  5 checkpoints     2.5 GB",
        "  model/           90.0 MB",
    ]
    assert "1.6 GB" in refused.value.hint


def test_the_room_of_a_folder_that_is_not_there_yet_is_that_of_its_parent(tmp_path: Path) -> None:
    require_space(tmp_path / "not" / "there", [("all", 1)])
    with pytest.raises(AdaptError):
        require_space(tmp_path / "not" / "there", [("all", 10**18)])
    assert not (tmp_path / "not").exists()
