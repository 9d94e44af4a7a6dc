"""The rows that token classification trains and evaluates on."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from adapt_core.errors import AdaptError, UsageError
from adapt_nlp.token_classification.data import TaggedRows, load_split, load_tagged_data
from adapt_nlp.token_classification.options import TokenClassificationData

SEED = 56


def options(path: Path, **values: object) -> TokenClassificationData:
    return TokenClassificationData.model_validate({"path": str(path), **values})


def load(path: Path, subtask: Any = "ner", evaluate: bool = True, **values: object) -> TaggedRows:
    return load_tagged_data(options(path, **values), subtask, SEED, evaluate=evaluate)


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def row(text: str, tags: str, **more: Any) -> dict[str, Any]:
    return {"tokens": text.split(), "ner_tags": tags.split(), **more}


GOOD = [row("Ada came home", "B-PER O O"), row("to New York", "O B-LOC I-LOC"), row("Ada stayed", "B-PER O")] * 4


def tags_of(rows: TaggedRows) -> list[list[str]]:
    return [[rows.info["label_names"][tag] for tag in tags] for tags in rows.train.tags]


# ---- real data ------------------------------------------------------------------------------------------------


def test_wnut_17_is_loaded_as_its_manifest_says(test_data: Path) -> None:
    folder = test_data / "token_classification" / "wnut_17_ner"
    loaded = load(folder)
    assert loaded.info["rows"] == {"train": 2500, "validation": 500, "test": 500}
    assert set(loaded.info["label_names"]) == set(json.loads((folder / "labels.json").read_text()))
    expected = [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]
    assert [list(each) for each in loaded.train.tokens] == [each["tokens"] for each in expected]
    assert tags_of(loaded) == [each["ner_tags"] for each in expected]
    counts = Counter(tag for each in expected for tag in each["ner_tags"])
    assert {name: count for name, count in loaded.info["tags"].items() if count} == counts
    assert loaded.info["scheme"] == "IOB2"
    assert loaded.info["notices"] == []


def test_ud_ewt_has_its_parts_of_speech_in_upos_or_where_it_is_told(test_data: Path) -> None:
    folder = test_data / "token_classification" / "ud_ewt_pos"
    names = json.loads((folder / "labels.json").read_text())
    loaded = load(folder, "pos")
    assert loaded.info["rows"] == {"train": 2500, "validation": 400, "test": 500}
    assert loaded.info["columns"] == {"tokens": "tokens", "tags": "upos"}
    assert loaded.info["label_names"] == names["upos"]
    assert load(folder, "pos", tags_column="xpos", label_names=names["xpos"]).info["label_names"] == names["xpos"]


# ---- where tags come from -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("subtask", "column"), [("ner", "ner_tags"), ("pos", "pos_tags"), ("chunk", "chunk_tags")])
def test_each_subtask_has_its_column(subtask: str, column: str, tmp_path: Path) -> None:
    every = {"pos_tags": ["N", "V"], "chunk_tags": ["B-NP", "B-VP"], "ner_tags": ["B-PER", "O"]}
    path = write(tmp_path / "train.jsonl", *[{"tokens": ["Ada", "came"], **every}] * 10)
    loaded = load(path, subtask)
    assert loaded.info["columns"] == {"tokens": "tokens", "tags": column}
    assert tags_of(loaded)[0] == every[column]
    assert load(path, subtask, tags_column="pos_tags").info["label_names"] == ["N", "V"]


def test_the_names_of_numbers_are_those_that_datasets_records(tmp_path: Path) -> None:
    import datasets

    def made(names: Sequence[str]) -> Any:
        words = datasets.List(datasets.Value("string"))
        features = datasets.Features({"tokens": words, "ner_tags": datasets.List(datasets.ClassLabel(names=names))})
        rows = {"tokens": [["Ada", "came"]] * 10, "ner_tags": [[names.index("B-PER"), names.index("O")]] * 10}
        return datasets.Dataset.from_dict(rows, features=features)

    first, other = made(["O", "B-PER", "I-PER"]), made(["B-PER", "I-PER", "O"])
    datasets.DatasetDict(train=first, validation=other).save_to_disk(tmp_path / "saved")
    first.to_parquet(tmp_path / "train.parquet")
    for path in (tmp_path / "saved", tmp_path / "train.parquet"):
        loaded = load(path)
        assert loaded.info["label_names"] == ["O", "B-PER", "I-PER"]
        assert tags_of(loaded)[0] == ["B-PER", "O"]
    evaluation = load(tmp_path / "saved").evaluation
    assert evaluation is not None
    assert list(evaluation.tags[0]) == [1, 0], "the numbers of each split mean what it says itself"


def test_numbers_get_names_from_the_configuration(tmp_path: Path) -> None:
    path = write(tmp_path / "train.jsonl", *[{"tokens": ["Ada", "came"], "ner_tags": [1, 0]}] * 10)
    assert tags_of(load(path, label_names=["O", "B-PER"]))[0] == ["B-PER", "O"]
    assert tags_of(load(path, label_names={0: "O", 1: "B-PER"}))[0] == ["B-PER", "O"]
    (tmp_path / "names.txt").write_text("O\nB-PER\n")
    assert tags_of(load(path, label_names=str(tmp_path / "names.txt")))[0] == ["B-PER", "O"]


def test_a_model_knows_i_of_a_type_of_which_the_data_has_only_b(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", *[row("Ada came", "B-PER O")] * 4)
    write(tmp_path / "dev.jsonl", row("Ada King came", "B-PER I-PER O"))
    assert load(tmp_path).info["label_names"] == ["B-PER", "I-PER", "O"]


def test_conll_files_are_read_in_all_their_forms(tmp_path: Path) -> None:
    four = "-DOCSTART- -X- -X- O\n\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\n\nGerman JJ B-NP B-MISC\ncall NN I-NP O\n"
    for name in ("train.conll", "train.txt"):  # CoNLL-2003 comes as .txt
        folder = tmp_path / name
        folder.mkdir()
        (folder / name).write_text(four)
        loaded = load(folder, evaluate=False)
        assert list(map(list, loaded.train.tokens)) == [["EU", "rejects"], ["German", "call"]]
        assert tags_of(loaded) == [["B-ORG", "O"], ["B-MISC", "O"]]
        assert tags_of(load(folder, "chunk", evaluate=False)) == [["B-NP", "B-VP"], ["B-NP", "I-NP"]]
        assert tags_of(load(folder, "pos", evaluate=False)) == [["NNP", "VBZ"], ["JJ", "NN"]]


@pytest.mark.parametrize(
    ("name", "text", "tokens"),
    [
        ("a.conll", "#\tO\n#tag\tO\nAda\tB-PER\n\n# id = 7\nx y\tO\n", [["#", "#tag", "Ada"], ["x y"]]),
        (
            "a.conll",
            "# id ab=1 domain=en\nAda _ _ B-PER\nx _ _ O\r\n\r\n\r\n# O O O\nx _ _ O\n",
            [["Ada", "x"], ["#", "x"]],
        ),
        ("a.conll", "Ada  B-PER\n \ncame O \n", [["Ada"], ["came"]]),
        (
            "a.conllu",
            "#text\n1-2\tdu\t_\t_\t_\t_\t_\t_\t_\t_\n1\tde\t_\tADP\t_\t_\t_\t_\t_\t_\n2\tle\t_\tDET\t_\t_\t_\t_\t_\t_\n"
            "2.1\tx\t_\t_\t_\t_\t_\t_\t_\t_\n",
            [["de", "le"]],
        ),
    ],
)
def test_comments_and_what_is_no_word_are_left_out_of_conll(
    name: str, text: str, tokens: list[list[str]], tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(text.encode())
    subtask = "pos" if name.endswith("u") else "ner"
    named = {"tags_column": "ner_tags"} if "_ _" in text else {}
    loaded = load(tmp_path / name, subtask, evaluate=False, **named)
    assert list(map(list, loaded.train.tokens)) == tokens


# ---- which rows -----------------------------------------------------------------------------------------------


def test_held_out_rows_have_a_share_of_the_rare_tags(tmp_path: Path) -> None:
    rare, common = row("Ada came", "B-PER O"), row("we went to Rome", "O O O B-LOC")
    loaded = load(write(tmp_path / "train.jsonl", *[common] * 180, *[rare] * 20))
    assert loaded.evaluation is not None
    assert len(loaded.evaluation) == 20
    person = loaded.info["label_names"].index("B-PER")
    assert sum(person in tags for tags in loaded.evaluation.tags) in (1, 2)  # by its share, within one row


def test_fewer_rows_are_drawn_and_the_fingerprint_is_theirs(tmp_path: Path) -> None:
    path = write(tmp_path / "train.jsonl", *GOOD * 10)
    loaded = load(path, max_train_samples=20, max_eval_samples=5)
    assert loaded.info["rows"] == {"train": 20, "validation": 5, "test": 0}
    assert loaded.info["fingerprint"] == load(path, max_train_samples=20, max_eval_samples=5).info["fingerprint"]
    assert loaded.info["fingerprint"] != load(path, max_train_samples=21, max_eval_samples=5).info["fingerprint"]


def test_rows_of_a_finished_run_are_found_again(tmp_path: Path) -> None:
    path = write(tmp_path / "train.jsonl", *GOOD * 10)
    loaded = load(path)
    again, name = load_split(options(path), "ner", None, None, loaded.info, SEED)
    assert (again, name) == (loaded.evaluation, "held out from split train")
    assert load_split(options(path), "ner", None, "train", loaded.info, SEED)[0] == loaded.train
    other = write(tmp_path / "other.jsonl", row("Ada came", "B-PER O"))
    rows, _ = load_split(options(path), "ner", str(other), None, loaded.info, SEED)
    assert rows[0] == {"tokens": ["Ada", "came"], "tags": [loaded.info["label_names"].index(t) for t in ("B-PER", "O")]}
    write(path, *GOOD)
    with pytest.raises(AdaptError, match="no longer what the run was made with"):
        load_split(options(path), "ner", None, None, loaded.info, SEED)


# ---- schemes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        (["B-PER I-PER O", "B-LOC B-LOC O"], "IOB2"),
        (["I-PER I-PER O", "I-LOC B-LOC O"], "IOB1"),
        (["B-PER E-PER O", "S-LOC O O"], "IOBES"),
        (["B-PER L-PER O", "U-LOC O O"], "BILOU"),
        (["PER PER O", "creative-work O O"], "plain"),
    ],
)
def test_the_scheme_is_told_by_the_tags(tags: list[str], scheme: str, tmp_path: Path) -> None:
    path = write(tmp_path / "train.jsonl", *[row("a b c", each) for each in tags] * 4)
    assert load(path).info["scheme"] == scheme
    assert load(path, "pos", tags_column="ner_tags").info["scheme"] == "plain"


def test_an_i_without_a_b_is_a_notice(tmp_path: Path) -> None:
    path = write(tmp_path / "train.jsonl", *GOOD, row("a Rome b", "O I-LOC O"), row("Ada Rome", "B-PER I-LOC"))
    (notice,) = load(path).info["notices"]
    assert notice.startswith(f"{path}: 2 entities begin with I- and not with B-, at lines 13, 14; the first is word 2")


# ---- what is refused ------------------------------------------------------------------------------------------

LONG_ERROR = 600


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (row("Ada came", "B-PER"), "not as many tags as words at line 13; the first of them has 2 words and 1 tag"),
        ({"tokens": [], "ner_tags": []}, "column 'tokens' has no words at line 13"),
        ({"tokens": "Ada came", "ner_tags": ["B-PER", "O"]}, "no lists of words at line 13, the first .* 'Ada came'"),
        ({"tokens": None, "ner_tags": ["O"]}, "no lists of words at line 13, the first of them None"),
        ({"tokens": ["Ada"], "ner_tags": "B-PER"}, "no lists of tags at line 13, the first of them 'B-PER'"),
        ({"tokens": ["Ada"], "ner_tags": 3}, "no lists of tags at line 13, the first of them 3"),
        ({"tokens": ["Ada"]}, "no lists of tags at line 13, the first of them None"),
        ({"tokens": ["in", 1999], "ner_tags": ["O", "O"]}, "words that are not text at line 13, .* word 2: 1999"),
        ({"tokens": ["in", None], "ner_tags": ["O", "O"]}, "words that are not text at line 13, .* word 2: None"),
        ({"tokens": ["in", ["x"]], "ner_tags": ["O", "O"]}, r"not text at line 13, .* word 2: \['x'\]"),
        ({"tokens": ["in", " "], "ner_tags": ["O", "O"]}, "blank words at line 13, the first of them word 2: ' '"),
        ({"tokens": ["\ud83d"], "ner_tags": ["O"]}, "not valid Unicode .* at line 13"),
        ({"tokens": ["Ada"], "ner_tags": [None]}, "lacks tags at line 13, the first of them word 1: None"),
        ({"tokens": ["Ada"], "ner_tags": [""]}, "lacks tags at line 13"),
        ({"tokens": ["Ada"], "ner_tags": [0.5]}, "neither text nor whole numbers at line 13, .* word 1: 0.5"),
        ({"tokens": ["Ada"], "ner_tags": [True]}, "neither text nor whole numbers at line 13"),
        ({"tokens": ["Ada"], "ner_tags": [["O"]]}, "neither text nor whole numbers at line 13"),
        ({"tokens": ["Ada"], "ner_tags": ["\ud83d"]}, "not valid Unicode .* at line 13"),
        ({"tokens": ["Ada"], "ner_tags": [3]}, "numbers, and nothing says which tags they are at line 13"),
        (row("Ada", "PER"), "some tags have a prefix .* and others have none: PER"),
    ],
)
def test_malformed_rows_are_refused_with_their_lines(bad: dict[str, Any], says: str, tmp_path: Path) -> None:
    path = write(tmp_path / "train.jsonl", *GOOD, bad)
    with pytest.raises(AdaptError, match=says) as error:
        load(path)
    assert str(path) in error.value.message
    assert error.value.hint
    assert len(error.value.message) < LONG_ERROR


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.conll", "Ada\tB-PER\ncame\n\nto\tO\n", "line 2: 1 cell, and the first word's line has 2"),
        ("a.conll", "Ada B-PER\ncame O\nto be O\nor O x\n", r"line 3: 3 cells, .* \(2 such lines: 3, 4\)"),
        ("a.conll", "Ada\ncame\n", "line 1: one cell, and a word and its tag are needed"),
        ("a.conll", "# id = 1\n\n# id = 2\n", "holds no words"),
        ("a.conllu", "1\tAda\tPROPN\n", "line 1: 3 cells, and CoNLL-U has 10"),
        ("a.conll", "Ada\tB-PER\n\tO\n", "line 2: 1 cell"),
        ("a.conll", "Ada B-NP\ncame O\n\nto B-NP\nhome I-NP\n".replace("Ada B-NP", "Ada B-NP NNP"), "2 cells, and"),
        ("a.csv", "tokens,ner_tags\nAda came,B-PER O\n", "column 'tokens' holds no lists of words at line 2"),
        ("a.jsonl", '{"sentence": "x", "ner_tags": ["O"]}\n', "no column holds the words"),
        ("a.jsonl", '{"tokens": ["x"], "entities": ["O"]}\n', "no column holds the tags"),
        (
            "a.jsonl",
            '{"tokens": ["x"], "tags": ["O"], "labels": ["O"]}\n',
            "could hold the tags: tags, labels",
        ),
        (
            "a.jsonl",
            '{"tokens": ["x", "y"], "ner_tags": ["O", "O"]}\n',
            "all words of the 1 training rows have one",
        ),
        ("a.jsonl", "", "is empty"),
        ("a.jsonl", '["x"]\n', "line 1: a JSON object is needed"),
        ("a.txt", "Ada came home.\nShe stayed.\n", "line 2: 2 cells, and the first word's line has 3"),
    ],
)
def test_malformed_files_are_refused(name: str, text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(AdaptError, match=says) as error:
        load(tmp_path / name)
    assert error.value.hint
    assert len(error.value.message) < LONG_ERROR


def test_what_the_configuration_names_and_is_not_there_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "train.jsonl", *GOOD)
    for values, says in (
        ({"tokens_column": "word"}, "has no column 'word', which dataset.tokens_column names"),
        (
            {"tags_column": "ner_tag"},
            "has no column 'ner_tag', which .* names. Did you mean 'ner_tags'",
        ),
        ({"validation_split": "dev"}, "has no split 'dev', which dataset.validation_split names"),
    ):
        with pytest.raises(UsageError, match=says):
            load(path, **values)
    with pytest.raises(AdaptError, match=r"tags that are not among the 2 known ones: 'B-LOC' \(4 words\)"):
        load(path, label_names=["O", "B-PER"])


def test_tags_that_training_rows_lack_are_refused_in_evaluation_rows(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", *GOOD)
    dev = write(tmp_path / "dev.jsonl", row("Ada", "B-PER"), row("x y", "O B-ORG"), row("z", "B-ORG"))
    with pytest.raises(AdaptError) as error:
        load(tmp_path)
    assert error.value.message == (
        f"{dev}: column 'ner_tags' has tags that are not among the 5 known ones: 'B-ORG' (2 words); at lines 2, 3."
    )
    assert "B-LOC, B-PER, I-LOC, I-PER, O" in error.value.hint


def test_numbers_beyond_their_names_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "train.jsonl", *[{"tokens": ["a", "b"], "ner_tags": [0, tag]} for tag in (1, 1, 7, -1)])
    with pytest.raises(AdaptError, match=r"the 2 known ones: 7 \(1 word\), -1 \(1 word\); at lines 3, 4"):
        load(path, label_names=["O", "B-PER"])


def test_where_every_sentence_is_one_of_a_kind_nothing_can_be_held_out(tmp_path: Path) -> None:
    path = write(tmp_path / "train.jsonl", row("Ada", "B-PER"), row("Rome", "B-LOC"))
    with pytest.raises(AdaptError, match="nothing can be held out"):
        load(path)
    assert len(load(path, evaluate=False).train) == 2
