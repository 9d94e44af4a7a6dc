"""Who may read what a run wrote: whom the umask lets, whatever the library that wrote it; and what others are told."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from toy_runs import QUICK

import adapt_core
from adapt_core.config.sections import ModelOptions
from adapt_core.errors import AdaptError
from adapt_core.models.pretrained import load_model
from adapt_core.runs.checksums import require_intact

pytestmark = pytest.mark.skipif(os.name == "nt", reason="has no umask")


@contextmanager
def as_nobody() -> Iterator[None]:
    """Without root's right to read everything."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.mark.usefixtures("no_reload")
@pytest.mark.parametrize("saver", ["safetensors", "save_pretrained"])
def test_everything_that_a_run_and_a_merge_save_follows_the_umask(toy_config: Any, saver: str) -> None:
    before = os.umask(0o027)
    try:
        adapt_core.run(toy_config(training=QUICK, save=saver))
        merged = Path(adapt_core.merge_run(toy_config()["output_dir"])["output"])
    finally:
        os.umask(before)
    run = Path(toy_config()["output_dir"])
    written = [file for place in (run, merged) for file in place.rglob("*") if file.is_file()]
    assert {"checkpoints", "model", "export"} == {file.relative_to(run).parts[0] for file in run.rglob("*/*")}
    assert sum(file.suffix == ".safetensors" for file in written) == 4
    wrong = {str(file): oct(file.stat().st_mode) for file in written if file.stat().st_mode & 0o777 != 0o640}
    assert not wrong


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that everybody may enter; pytest's own are for their owner alone."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_a_file_that_may_not_be_read_is_not_called_damaged(public: Path) -> None:
    save_file({"a": torch.zeros(2)}, public / "a.safetensors")
    (public / "a.safetensors").chmod(0o000)
    with as_nobody(), pytest.raises(AdaptError, match=r"a\.safetensors may not be read: Permission denied") as refused:
        require_intact(public, {})
    assert "chmod" in refused.value.hint


def test_a_base_model_that_may_not_be_read_is_not_called_missing(toy: dict[str, Any], public: Path) -> None:
    from transformers import AutoModelForSequenceClassification, BertTokenizerFast

    model = shutil.copytree(toy["model"]["path"], public / "model")
    for file in model.iterdir():
        file.chmod(0o000 if file.suffix == ".safetensors" else 0o644)
    options = ModelOptions(path=str(model))
    with as_nobody(), pytest.raises(AdaptError, match=r"model\.safetensors may not be read: Permission denied"):
        load_model(AutoModelForSequenceClassification, options, BertTokenizerFast(vocab={"[PAD]": 0}), config={})
