"""Finding the splits of a data set."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import astuple
from pathlib import Path

import datasets
import pytest

from adapt_core.errors import AdaptError, UsageError
from adapt_nlp.data.options import TextDataOptions
from adapt_nlp.data.source import open_source

from hub_server import hub  # isort: skip


def options(path: Path, **values: str) -> TextDataOptions:
    return TextDataOptions.model_validate({"path": str(path), **values})


def folder(path: Path, *names: str) -> Path:
    path.mkdir(exist_ok=True)
    for name in names:
        (path / name).write_text("text,label\na,b\n")
    return path


def roles(path: Path, **values: str) -> tuple[str | None, ...]:
    return astuple(open_source(options(path, **values)).roles(options(path, **values)))


def dataset(*texts: str) -> datasets.Dataset:
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])})
    return datasets.Dataset.from_dict({"text": list(texts), "label": [0] * len(texts)}, features=features)


# ---- folders --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["validation", "valid", "val", "dev", "development", "eval", "evaluation", "Dev"])
def test_the_validation_split_is_known_by_its_usual_names(tmp_path: Path, name: str) -> None:
    assert roles(folder(tmp_path, "train.csv", f"{name}.csv", "test.csv.gz")) == ("train", name, "test")


def test_files_that_are_no_splits_are_left_alone(tmp_path: Path) -> None:
    path = folder(tmp_path, "train.csv", "README.txt", ".train.csv", "labels.json", "notes.md", "train.lock")
    (path / "labels.json").write_text("[not even JSON")
    assert roles(path) == ("train", None, None)
    assert list(open_source(options(path)).read("train").columns["text"]) == ["a"]


def test_a_split_may_be_called_anything_when_the_configuration_says_so(tmp_path: Path) -> None:
    path = folder(tmp_path, "big.csv", "small.csv", "test.csv")
    assert roles(path, train_split="big", validation_split="small") == ("big", "small", "test")
    assert roles(path, train_split="big", validation_split="test") == ("big", "test", None)


def test_a_named_split_must_exist(tmp_path: Path) -> None:
    path = folder(tmp_path, "train.csv", "test.csv")
    with pytest.raises(
        UsageError, match=r"has no split 'trian', which dataset\.train_split names; did you mean 'train'"
    ):
        roles(path, train_split="trian")


def test_two_splits_that_could_be_the_same_one_are_told(tmp_path: Path) -> None:
    path = folder(tmp_path, "train.csv", "dev.csv", "val.csv")
    with pytest.raises(AdaptError, match="2 splits that could be its validation split: dev, val") as error:
        roles(path)
    assert "dataset.validation_split" in error.value.hint
    assert roles(path, validation_split="val") == ("train", "val", None)


def test_a_folder_without_a_training_split_says_what_it_has(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no training split\. The splits there are: all, test"):
        roles(folder(tmp_path, "all.csv", "test.csv"))


def test_a_folder_without_data_says_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "notes.md").touch()
    with pytest.raises(UsageError, match=r"holds no data files; it holds data/, notes\.md"):
        open_source(options(tmp_path))


def test_two_files_of_one_split_are_refused_when_it_is_read(tmp_path: Path) -> None:
    source = open_source(options(folder(tmp_path, "train.csv", "train.tsv", "test.csv")))
    assert len(source.read("test")) == 1
    with pytest.raises(AdaptError, match=r"more than one file of the split 'train': train\.csv, train\.tsv"):
        source.read("train")


def test_shards_are_one_split_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in range(3):
        dataset(f"{number}a", f"{number}b").to_parquet(tmp_path / f"train-{number:05d}-of-00003.parquet")
    table = open_source(options(tmp_path)).read("train")
    assert list(table.columns["text"]) == ["0a", "0b", "1a", "1b", "2a", "2b"]
    assert (len(table), table.class_names["label"]) == (6, ("no", "yes"))
    (tmp_path / "train-00003-of-00003.csv").write_text("text\na\n")
    with pytest.raises(AdaptError, match=r"has the columns text, and .* has text, label"):
        open_source(options(tmp_path)).read("train")


def test_a_single_file_is_the_training_split_whatever_its_name(tmp_path: Path) -> None:
    path = folder(tmp_path, "test.csv") / "test.csv"
    assert roles(path) == ("train", None, None)
    with pytest.raises(UsageError, match=r"There is no data at .*none\.csv"):
        open_source(options(tmp_path / "none.csv"))


# ---- folders saved by datasets --------------------------------------------------------------------------------


def test_a_saved_dataset_is_the_training_split(tmp_path: Path) -> None:
    dataset("a", "b", "c").select([2, 0]).save_to_disk(tmp_path / "saved")
    source = open_source(options(tmp_path / "saved"))
    table = source.read("train")
    assert list(table.columns["text"]) == ["c", "a"]
    assert table.class_names["label"] == ("no", "yes")
    assert "b" not in table.columns


def test_a_saved_dataset_dict_has_its_splits(tmp_path: Path) -> None:
    datasets.DatasetDict(train=dataset("a"), dev=dataset("b"), other=dataset("c")).save_to_disk(tmp_path / "saved")
    assert roles(tmp_path / "saved") == ("train", "dev", None)
    assert list(open_source(options(tmp_path / "saved")).read("other").columns["text"]) == ["c"]


def test_a_damaged_saved_folder_is_refused(tmp_path: Path) -> None:
    dataset("a").save_to_disk(tmp_path / "saved")
    (tmp_path / "saved" / "state.json").write_text("{}")
    with pytest.raises(AdaptError, match="looks like a folder saved by datasets and cannot be loaded") as error:
        open_source(options(tmp_path / "saved"))
    assert "save_to_disk" in error.value.hint


# ---- the hub --------------------------------------------------------------------------------------------------

CARD = b"""---
configs:
- config_name: plain
  data_files:
  - {split: train, path: plain/train.csv}
  - {split: test, path: plain/test.csv}
- config_name: other
  data_files: other/train.csv
---
"""
FILES = {
    "README.md": CARD,
    "plain/train.csv": b"text,label\ngood film,1\nbad film,0\n",
    "plain/test.csv": b"text,label\nfine,1\n",
    "other/train.csv": b"text,label\nx,0\n",
}
SCRIPT = """
import json, sys
from pathlib import Path
from adapt_core.errors import AdaptError
from adapt_nlp.data.options import TextDataOptions
from adapt_nlp.data.source import open_source

def attempt(**values):
    try:
        source = open_source(TextDataOptions(**values))
        return {split: list(source.read(split).columns["text"]) for split in source.splits}
    except AdaptError as error:
        return [error.message, error.hint]

home, local = Path(sys.argv[1]), Path(sys.argv[2])
result = {name: attempt(path=str(local / name)) for name in ("train.csv", "train.parquet", "saved")}
result["written"] = sorted(str(path) for path in home.rglob("*") if path.is_file())
result["whole"] = attempt(name="someone/reviews", config="plain")
result["no configuration"] = attempt(name="someone/reviews")
result["wrong configuration"] = attempt(name="someone/reviews", config="plane")
result["unknown"] = attempt(name="someone/nothing")
print(json.dumps(result))
"""


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What loading gives in a new process with an empty home and a hub of its own."""
    home, local = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("local")
    (local / "train.csv").write_text("text\na\n")
    dataset("b").to_parquet(local / "train.parquet")
    dataset("c").save_to_disk(local / "saved")
    with hub({"someone/reviews": FILES}) as address:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("HF_", "XDG_"))},
            "HOME": str(home),
            "HF_ENDPOINT": address,
        }
        command = [sys.executable, "-c", SCRIPT, str(home), str(local)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=local)
    assert done.returncode == 0, done.stderr
    result: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return result


def test_local_data_is_read_without_writing_a_cache(fresh: dict[str, object]) -> None:
    assert (fresh["train.csv"], fresh["train.parquet"], fresh["saved"]) == (
        {"train": ["a"]},
        {"train": ["b"]},
        {"train": ["c"]},
    )
    assert fresh["written"] == []


def test_a_data_set_of_the_hub_is_loaded_with_its_splits(fresh: dict[str, object]) -> None:
    assert fresh["whole"] == {"train": ["good film", "bad film"], "test": ["fine"]}


@pytest.mark.parametrize("case", ["no configuration", "wrong configuration"])
def test_the_configurations_of_a_hub_data_set_are_listed(fresh: dict[str, object], case: str) -> None:
    message, hint = fresh[case]  # type: ignore[misc]
    assert "['plain', 'other']" in message
    assert "load_dataset" not in message
    assert "dataset.config (DATASET_CONFIG)" in hint


def test_an_unknown_hub_data_set_is_told_from_an_unreachable_one(fresh: dict[str, object]) -> None:
    message, hint = fresh["unknown"]  # type: ignore[misc]
    assert message.startswith("There is no data set someone/nothing on the hub that can be read")
    assert "Check the spelling" in hint


def test_an_unreachable_hub_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    with pytest.raises(
        AdaptError, match="The hub cannot be reached for the data set someone/reviews-2 \\(plain\\)"
    ) as error:
        open_source(TextDataOptions(name="someone/reviews-2", config="plain"))
    assert "save_to_disk" in error.value.hint


def test_a_hub_name_that_is_a_local_path_or_a_file_format_is_no_hub_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder(tmp_path / "reviews", "train.csv")
    with pytest.raises(UsageError, match="reviews is a local path"):
        open_source(TextDataOptions(name="reviews"))
    for name in ("csv", "pandas", "json"):
        with pytest.raises(UsageError, match="a file format and no data set of the hub"):
            open_source(TextDataOptions(name=name))
