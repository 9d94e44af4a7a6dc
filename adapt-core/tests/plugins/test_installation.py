"""The command that installs what is missing, by where the core came from."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapt_core.plugins.installation import install_command, source, source_folder

Came = Callable[..., None]


@pytest.fixture
def came(site: Path) -> Came:
    """Lays out an installed distribution that came from somewhere, before all others on the path."""

    def lay_out(name: str, direct_url: dict[str, Any] | None) -> None:
        info = site / f"{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        if direct_url is not None:
            (info / "direct_url.json").write_text(json.dumps(direct_url))

    return lay_out


def repository(folder: Path, *projects: str) -> Path:
    """A folder of projects."""
    for name in projects:
        (folder / name).mkdir(parents=True)
        (folder / name / "pyproject.toml").write_text("")
    return folder


@pytest.mark.parametrize("editable", [True, False])
def test_beside_a_core_from_a_folder_it_is_the_folder_beside_it(came: Came, tmp_path: Path, editable: bool) -> None:
    clone = repository(tmp_path / "a clone", "adapt-core", "adapt-sister")
    detail = {"editable": True} if editable else {}
    came("adapt-core", {"url": (clone / "adapt-core").as_uri(), "dir_info": detail})
    assert source_folder("adapt-sister") == clone / "adapt-sister"
    assert install_command("adapt-sister") == f"pip install '{clone}/adapt-sister'"
    assert install_command("adapt-core", flag="--upgrade") == f"pip install --upgrade '{clone}/adapt-core'"
    assert install_command("adapt-stranger") == "pip install adapt-stranger"


def test_beside_a_core_from_an_index_it_is_the_name(came: Came) -> None:
    came("adapt-core", None)
    assert install_command("adapt-sister") == "pip install adapt-sister"
    assert install_command("one>=2,<3", "two") == "pip install 'one>=2,<3' two"
    assert source_folder("adapt-sister") is None


def test_a_clone_that_is_gone_is_named_no_more(came: Came, tmp_path: Path) -> None:
    came("adapt-core", {"url": (tmp_path / "gone" / "adapt-core").as_uri(), "dir_info": {}})
    assert install_command("adapt-sister") == "pip install adapt-sister"


def test_an_installed_distribution_comes_from_where_it_came_from(came: Came, tmp_path: Path) -> None:
    clone = repository(tmp_path / "clone", "adapt-core", "adapt-indexed")
    other = repository(tmp_path / "other", "biases")
    came("adapt-core", {"url": (clone / "adapt-core").as_uri(), "dir_info": {}})
    came("adapt-indexed", None)
    came("adapt-biases", {"url": (other / "biases").as_uri(), "dir_info": {"editable": True}})
    assert source("adapt-indexed") == "adapt-indexed"
    assert source("adapt-biases") == str(other / "biases")


@pytest.mark.parametrize(("revision", "at"), [({}, "0a1b"), ({"requested_revision": "v1"}, "v1")])
def test_from_version_control_it_is_the_same_repository(came: Came, revision: dict[str, str], at: str) -> None:
    address = "https://example.org/adapt.git"
    control = {"vcs": "git", "commit_id": "0a1b", **revision}
    came("adapt-core", {"url": address, "vcs_info": control, "subdirectory": "adapt-core"})
    assert source("adapt-sister") == f"git+{address}@{at}#subdirectory=adapt-sister"
    assert install_command("adapt-sister") == f"pip install 'git+{address}@{at}#subdirectory=adapt-sister'"
    assert source("stranger") == "stranger"
    came("biases", {"url": address, "vcs_info": control, "subdirectory": "python"})
    assert source("biases") == f"git+{address}@{at}#subdirectory=python"
