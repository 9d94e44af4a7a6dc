"""The rows that text classification trains and evaluates on."""

from __future__ import annotations

import csv
import json
import re
import time
from collections import Counter
from pathlib import Path

import pytest

from adapt_core.errors import AdaptError, UsageError
from adapt_nlp.text_classification.data import ClassificationRows, load_classification_data, load_split
from adapt_nlp.text_classification.options import TextClassificationData

SEED = 56


def options(path: Path, **values: object) -> TextClassificationData:
    return TextClassificationData.model_validate({"path": str(path), **values})


def load(path: Path, seed: int = SEED, evaluate: bool = True, **values: object) -> ClassificationRows:
    return load_classification_data(options(path, **values), seed, evaluate=evaluate)


def write(path: Path, *rows: tuple[object, ...], header: tuple[str, ...] = ("text", "label")) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def rows(count: int, labels: str = "ab") -> list[tuple[object, ...]]:
    return [(f"text number {number}", labels[number % len(labels)]) for number in range(count)]


def refused(path: Path, **values: object) -> AdaptError:
    with pytest.raises(AdaptError) as error:
        load(path, **values)
    assert error.value.hint
    return error.value


# ---- real data ------------------------------------------------------------------------------------------------


def test_rotten_tomatoes_is_loaded_as_its_manifest_says(test_data: Path) -> None:
    folder = test_data / "text_classification" / "rotten_tomatoes"
    loaded = load(folder, label_names=["neg", "pos"])
    assert loaded.info["rows"] == {"train": 3000, "validation": 400, "test": 500}
    assert loaded.info["evaluation"] == "split validation"
    assert loaded.label_names == ["neg", "pos"]
    for split, got in (("train", loaded.train), ("validation", loaded.evaluation)):
        expected = [json.loads(line) for line in (folder / f"{split}.jsonl").read_text().splitlines()]
        assert got is not None
        assert [got[row] for row in range(len(got))] == expected
    labels = Counter(json.loads(line)["label"] for line in (folder / "train.jsonl").read_text().splitlines())
    assert loaded.info["labels"] == {"neg": labels[0], "pos": labels[1]}


def test_banking77_holds_out_a_tenth_of_every_class(test_data: Path) -> None:
    folder = test_data / "text_classification" / "banking77"
    loaded = load(folder, label_names=str(folder / "labels.json"))
    names = json.loads((folder / "labels.json").read_text())
    assert loaded.label_names == names
    assert loaded.info["rows"] == {"train": 2079, "validation": 231, "test": 462}  # 77 classes of 27, 3 and 6
    assert loaded.info["evaluation"] == "held out from split train"
    assert loaded.evaluation is not None
    assert loaded.info["labels"] == dict.fromkeys(names, 27)
    assert Counter(loaded.evaluation.labels) == dict.fromkeys(range(77), 3)
    with (folder / "train.csv").open(encoding="utf-8", newline="") as file:
        everything = [(row["text"], int(row["label"])) for row in csv.DictReader(file)]
    parts = [*zip(loaded.train.texts, loaded.train.labels, strict=True)]
    parts += zip(loaded.evaluation.texts, loaded.evaluation.labels, strict=True)
    assert Counter(parts) == Counter(everything)

    test, origin = load_split(options(folder), None, "test", loaded.info, SEED)
    assert origin == str(folder / "test.csv")
    assert (len(test), len(set(test.labels))) == (462, 77)
    assert test.texts[0] == "Tell me how to cancel a transfer."
    assert names[test.labels[0]] == "cancel_transfer"


def test_banking77_without_names_has_its_integers_in_their_order(test_data: Path) -> None:
    loaded = load(test_data / "text_classification" / "banking77" / "train.csv")
    assert loaded.label_names == [str(label) for label in range(77)]
    assert loaded.info["rows"]["test"] == 0


# ---- which rows -----------------------------------------------------------------------------------------------


def test_the_rows_are_a_function_of_the_seed(tmp_path: Path) -> None:
    path = write(tmp_path / "train.csv", *rows(200, "aab"))
    first, again, other = load(path), load(path), load(path, seed=1)
    assert first == again
    assert first.evaluation != other.evaluation
    assert first.info["fingerprint"] != other.info["fingerprint"]


def test_the_fingerprint_is_of_the_rows_and_not_of_the_file(tmp_path: Path) -> None:
    some = rows(40)
    fingerprint = load(write(tmp_path / "train.csv", *some)).info["fingerprint"]
    lines = "\n".join(json.dumps({"label": label, "id": 1, "text": text}) for text, label in some)
    (tmp_path / "other.jsonl").write_text(lines)
    assert load(tmp_path / "other.jsonl").info["fingerprint"] == fingerprint
    assert re.fullmatch("[0-9a-f]{64}", fingerprint)
    for changed in ([("changed", "a"), *some[1:]], [(some[0][0], "b"), *some[1:]], [some[1], some[0], *some[2:]]):
        assert load(write(tmp_path / "train.csv", *changed)).info["fingerprint"] != fingerprint


def test_the_share_is_the_configuration_s(tmp_path: Path) -> None:
    path = write(tmp_path / "train.csv", *rows(100))
    for share, expected in ((0.1, 10), (0.25, 25), (0.004, 1)):
        held = load(path, validation_share=share).evaluation
        assert held is not None
        assert len(held) == expected


def test_a_class_with_one_row_is_trained_on(tmp_path: Path) -> None:
    loaded = load(write(tmp_path / "train.csv", *rows(30), ("the only one", "c")), validation_share=0.5)
    assert loaded.info["labels"]["c"] == 1
    assert loaded.evaluation is not None
    assert 2 not in loaded.evaluation.labels
    assert (
        "every label in column 'label' has a single row"
        in refused(write(tmp_path / "train.csv", ("x", "a"), ("y", "b"))).message
    )
    assert load(tmp_path / "train.csv", evaluate=False).info["rows"] == {"train": 2, "validation": 0, "test": 0}


def test_no_test_row_is_evaluated_on_unless_the_configuration_says_so(tmp_path: Path) -> None:
    write(tmp_path / "train.csv", *rows(40))
    write(tmp_path / "test.csv", ("a test text", "a"), ("another test text", "b"))
    loaded = load(tmp_path)
    assert loaded.evaluation is not None
    assert not any("test text" in text for text in (*loaded.train.texts, *loaded.evaluation.texts))
    assert loaded.info["rows"] == {"train": 36, "validation": 4, "test": 2}
    chosen = load(tmp_path, validation_split="test")
    assert chosen.evaluation is not None
    assert list(chosen.evaluation.texts) == ["a test text", "another test text"]
    assert chosen.info["rows"] == {"train": 40, "validation": 2, "test": 0}


def test_fewer_rows_are_drawn_with_every_class(tmp_path: Path) -> None:
    write(tmp_path / "train.csv", *rows(300, "aaaaab"), ("rare", "c"))
    write(tmp_path / "dev.csv", *rows(100, "ab"))
    loaded = load(tmp_path, max_train_samples=30, max_eval_samples=10)
    assert loaded.info["rows"] == {"train": 30, "validation": 10, "test": 0}
    assert loaded.info["labels"]["c"] == 1
    assert 22 <= loaded.info["labels"]["a"] <= 26
    assert load(tmp_path, max_train_samples=30) != load(tmp_path, max_train_samples=30, seed=1)
    assert load(tmp_path, max_train_samples=10**6).info["rows"]["train"] == 301


def test_pairs_keep_their_second_text(tmp_path: Path) -> None:
    pairs = [(f"p{number}", f"h{number}", number % 2) for number in range(20)]
    loaded = load(write(tmp_path / "train.csv", *pairs, header=("premise", "hypothesis", "label")))
    assert loaded.info["columns"]["text_pair"] == "hypothesis"
    assert loaded.evaluation is not None
    for part in (loaded.train, loaded.evaluation):
        for row in range(len(part)):
            assert part[row]["text_pair"] == part[row]["text"].replace("p", "h")
    plain = load(write(tmp_path / "train.csv", *[(p, label) for p, _, label in pairs], header=("premise", "label")))
    assert "text_pair" not in plain.train[0]
    assert plain.info["fingerprint"] != loaded.info["fingerprint"]


def test_a_format_string_makes_the_texts_of_every_split(tmp_path: Path) -> None:
    header = ("title", "body", "label")
    write(tmp_path / "train.csv", *[(f"t{n}", f"b{n}", "xy"[n % 2]) for n in range(20)], header=header)
    write(tmp_path / "test.csv", ("tt", "bt", "x"), header=header)
    chosen = {"format_string": "{title}: {body}", "format_names": ["title", "body"]}
    loaded = load(tmp_path, **chosen)
    assert all(re.fullmatch(r"t(\d+): b\1", text) for text in loaded.train.texts)
    assert load_split(options(tmp_path, **chosen), None, "test", loaded.info, SEED)[0].texts == ["tt: bt"]


def test_the_info_is_json(tmp_path: Path) -> None:
    info = load(write(tmp_path / "train.csv", *rows(20))).info
    assert json.loads(json.dumps(info)) == info


# ---- what is refused ------------------------------------------------------------------------------------------


def test_data_without_rows_is_refused(tmp_path: Path) -> None:
    assert "has no rows" in refused(write(tmp_path / "train.csv")).message
    (tmp_path / "train.csv").write_text("")
    assert "is empty" in refused(tmp_path / "train.csv").message


def test_a_missing_column_is_refused_with_those_there_are(tmp_path: Path) -> None:
    path = write(tmp_path / "train.csv", *rows(4), header=("words", "stars"))
    assert "no column holds the text" in refused(path).message
    assert "The columns there are: words, stars." in refused(path).hint
    assert "no column holds the label" in refused(path, text_column="words").message
    assert "has no column 'star'" in refused(path, text_column="words", label_column="star").message
    write(tmp_path / "dev.csv", ("x",), header=("words",))
    error = refused(tmp_path, text_column="words", label_column="stars")
    assert f"{tmp_path / 'dev.csv'} has no column 'stars'" in error.message


def test_one_class_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "train.csv", *rows(4, "a"))
    assert refused(path).message == f"{path}: all 4 training rows have one label, 'a'."
    path = write(tmp_path / "train.csv", *rows(4))
    assert "dataset.max_train_samples=1" in refused(path, max_train_samples=1).message


def test_a_label_outside_the_training_labels_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "train.csv", *rows(10))
    dev = write(tmp_path / "dev.csv", ("x", "a"), ("two\nlines", "c"), ("z", "c"), ("w", "d"))
    assert refused(tmp_path).message == (
        f"{dev}: column 'label' has labels that are not among the 2 training labels: 'c' (2 rows), 'd' (1 row); "
        "at lines 3, 5, 6."
    )
    assert load(tmp_path, label_names=["a", "b", "c", "d"]).label_names == ["a", "b", "c", "d"]


def test_empty_texts_and_missing_labels_are_refused_with_their_lines(tmp_path: Path) -> None:
    path = write(tmp_path / "train.csv", *rows(10), ("", "a"), ("  ", "b"))
    assert refused(path).message == f"{path}: column 'text' is empty at lines 12, 13 (2 of 12 rows)."
    path = write(tmp_path / "train.csv", *rows(10), ("x", ""))
    assert refused(path).message == f"{path}: the label is missing in column 'label' at line 12 (1 of 11 rows)."


def test_hidden_test_labels_hurt_only_who_asks_for_them(tmp_path: Path) -> None:
    import datasets

    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])})
    train = datasets.Dataset.from_dict({"text": [str(n) for n in range(20)], "label": [0, 1] * 10}, features=features)
    test = datasets.Dataset.from_dict({"text": ["x", "y"], "label": [-1, -1]}, features=features)
    datasets.DatasetDict(train=train, test=test).save_to_disk(tmp_path / "saved")
    loaded = load(tmp_path / "saved")
    assert loaded.label_names == ["no", "yes"]
    with pytest.raises(AdaptError, match="split test: the label is missing in column 'label' at rows 1, 2"):
        load_split(options(tmp_path / "saved"), None, "test", loaded.info, SEED)
    (tmp_path / "more.csv").write_text("text,label\nx,1\ny,no\n")
    more, _ = load_split(options(tmp_path / "saved"), str(tmp_path / "more.csv"), None, loaded.info, SEED)
    assert more.labels == [1, 0]


# ---- loading again --------------------------------------------------------------------------------------------


def test_a_run_s_own_rows_are_loaded_again(tmp_path: Path) -> None:
    path = write(tmp_path / "train.csv", *rows(50))
    loaded = load(path, max_eval_samples=3)
    again = options(path, max_eval_samples=3)
    expected = (loaded.evaluation, "held out from split train")
    assert load_split(again, None, None, loaded.info, SEED) == expected
    assert load_split(again, None, "validation", loaded.info, SEED) == expected
    assert load_split(again, None, "train", loaded.info, SEED) == (loaded.train, "the run's training rows")
    write(path, *rows(51))
    with pytest.raises(AdaptError, match="no longer what the run was made with"):
        load_split(again, None, "validation", loaded.info, SEED)


def test_any_split_is_loaded_with_the_run_s_columns_and_labels(tmp_path: Path) -> None:
    write(tmp_path / "train.csv", *rows(20))
    hard = write(tmp_path / "hard.csv", ("b", "x"), header=("label", "text"))
    info = load(tmp_path).info
    loaded, origin = load_split(options(tmp_path), None, "hard", info, SEED)
    assert (loaded[0], origin) == ({"text": "x", "label": 1}, str(hard))
    assert load_split(options(tmp_path, test_split="hard"), None, "test", info, SEED) == (loaded, origin)
    with pytest.raises(UsageError, match="has no split 'test'") as error:
        load_split(options(tmp_path), None, "test", info, SEED)
    assert error.value.hint == "The splits there are: hard, train."
    with pytest.raises(UsageError, match="The run evaluated on no rows"):
        load_split(options(tmp_path), None, None, load(tmp_path, evaluate=False).info, SEED)


def test_other_data_is_a_file_or_a_folder_with_the_run_s_columns_and_labels(tmp_path: Path) -> None:
    write(tmp_path / "train.csv", *rows(20))
    info = load(tmp_path / "train.csv").info
    gone = options(tmp_path / "gone.csv")
    other = tmp_path / "other"
    other.mkdir()
    file = write(other / "dev.csv", ("x", "a", "y"), header=("text", "label", "sentence"))
    assert load_split(gone, str(file), None, info, SEED)[0][0] == {"text": "x", "label": 0}
    assert load_split(gone, str(other), None, info, SEED) == load_split(gone, str(file), None, info, SEED)
    write(other / "test.csv", ("z", "b"))
    assert load_split(gone, str(other), "test", info, SEED)[0].labels == [1]
    assert load_split(gone, str(other), "validation", info, SEED)[0].labels == [0]
    with pytest.raises(UsageError, match="has 2 splits: dev, test"):
        load_split(gone, str(other), None, info, SEED)
    write(file, ("x", "c"), ("y", "a"))
    with pytest.raises(AdaptError, match=r"not among the 2 training labels: 'c' \(1 row\); at line 2"):
        load_split(gone, str(file), None, info, SEED)


def test_ten_times_the_rows_take_about_ten_times_as_long_to_load_and_check(tmp_path: Path) -> None:
    seconds = {}
    for count in (10_000, 100_000):
        path = write(tmp_path / "train.csv", *rows(count, "abcdefg"))
        begin = time.process_time()
        assert load(path).info["rows"] == {"train": count * 9 // 10, "validation": count // 10, "test": 0}
        seconds[count] = time.process_time() - begin
    assert seconds[100_000] < 40 * seconds[10_000] + 1  # what is not linear takes 100 times as long
