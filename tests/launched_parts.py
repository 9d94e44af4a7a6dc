"""Tiny models and data for runs in several processes: without dropout, which processes draw differently."""

from __future__ import annotations

import csv
import importlib.util
import json
import random
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from transformers import (
    AutoModelForObjectDetection,
    BertConfig,
    BertModel,
    BertTokenizerFast,
    DetrConfig,
    MaskFormerConfig,
    MaskFormerForInstanceSegmentation,
    MaskFormerImageProcessor,
    RTDetrConfig,
    RTDetrImageProcessor,
    RTDetrResNetConfig,
    SwinConfig,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessor,
    VitPoseBackboneConfig,
    VitPoseConfig,
    VitPoseForPoseEstimation,
    VitPoseImageProcessor,
    YolosConfig,
    YolosForObjectDetection,
    YolosImageProcessor,
    set_seed,
)

ROOT = Path(__file__).parents[1]
WORDS = {"weather": ["rain", "sun", "wind"], "food": ["bread", "soup", "salt"], "music": ["drum", "song", "tune"]}
EDGE = 32


def write_parts(folder: Path) -> None:
    """All of them, each in a folder or a file of its own."""
    write_encoder(folder / "encoder")
    write_texts(folder / "rows.csv", 50)
    write_sentences(folder / "sentences.jsonl", 50)
    write_questions(folder / "questions.jsonl", 50)
    language = _of_tests("nlp", "tiny_language_model")
    language.write_llama(folder / "llama")
    language.write_split(folder / "facts", "prompt_completion")
    sequences = _of_tests("nlp", "tiny_seq2seq")
    sequences.write_bart(folder / "bart")
    sequences.write_split(folder / "documents", sequences.DOCUMENTS, times=3)
    vision = _of_tests("vision", "conftest")
    vision.write_objects(folder / "objects", "train", 8, seed=1)
    vision.write_objects(folder / "objects", "val", 3, seed=2)
    vision.write_poses(folder / "poses", "train", 7, seed=1)
    vision.write_poses(folder / "poses", "val", 3, seed=2)
    vision.write_images(folder / "images" / "train", dict.fromkeys(vision.COLOURS, 7), seed=1)
    vision.write_images(folder / "images" / "validation", dict.fromkeys(vision.COLOURS, 3), seed=2)
    vision._timm(folder / "timm_vit", "test_vit", img_size=EDGE)
    _write_image_models(folder)
    _write_detector(folder)
    _write_models_that_count(folder)


def _of_tests(package: str, name: str) -> ModuleType:
    """A module of a package's tests. By path: one that stayed would be found by the tests that come after."""
    spec = importlib.util.spec_from_file_location(
        f"{package}_{name}", ROOT / f"adapt-{package}" / "tests" / f"{name}.py"
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ---- texts ----------------------------------------------------------------------------------------------------


def write_encoder(folder: Path) -> None:
    """A BERT of two layers, 32 wide, that knows the words."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", *(word for each in WORDS.values() for word in each)]
    BertTokenizerFast(vocab={word: index for index, word in enumerate(words)}).save_pretrained(folder)
    set_seed(0)
    none: Any = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    sizes: Any = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    further: Any = {"vocab_size": len(words), "max_position_embeddings": 24, "initializer_range": 0.1}
    BertModel(BertConfig(**sizes, **further, **none)).save_pretrained(folder)


def write_texts(path: Path, rows: int) -> None:
    """Rows of a few words of one kind among ``the``; the kind is the label."""
    draw = random.Random(3)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for _ in range(rows):
            label = draw.choice(sorted(WORDS))
            text = [draw.choice([*WORDS[label], "the"]) for _ in range(draw.randrange(2, 12))] + [WORDS[label][0]]
            writer.writerow([" ".join(text), label])


def write_sentences(path: Path, rows: int) -> None:
    """Sentences in which runs of words of one kind are entities of it."""
    draw = random.Random(3)
    with path.open("w") as file:
        for _ in range(rows):
            tokens, tags = ["the"], ["O"]
            for _ in range(draw.randrange(1, 4)):
                kind, length = draw.choice(sorted(WORDS)), draw.randrange(1, 4)
                tokens += [*draw.choices(WORDS[kind], k=length), "the"]
                tags += [f"B-{kind}", *[f"I-{kind}"] * (length - 1), "O"]
            file.write(json.dumps({"tokens": tokens, "ner_tags": tags}) + "\n")


def write_questions(path: Path, rows: int) -> None:
    """The answer is the run of words of music in a context; every fourth context has none."""
    draw = random.Random(3)
    with path.open("w") as file:
        for row in range(rows):
            before, answer, behind = (
                " ".join(draw.choices(WORDS[kind], k=draw.randrange(1, 4))) for kind in ("weather", "music", "food")
            )
            there = row % 4 > 0
            answers = {"text": [answer] if there else [], "answer_start": [len(before) + 1] if there else []}
            context = f"{before} {answer if there else 'the'} {behind}"
            made = {"id": f"q{row}", "question": "the song", "context": context, "answers": answers}
            file.write(json.dumps(made) + "\n")


# ---- images ---------------------------------------------------------------------------------------------------


def _write_image_models(folder: Path) -> None:
    """A ViT that classifies, and a ViTPose."""
    small: Any = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    set_seed(0)
    of_images = ViTConfig(**small, image_size=EDGE, patch_size=8, intermediate_size=64, num_labels=5)
    ViTForImageClassification(of_images).save_pretrained(folder / "vit")
    ViTImageProcessor(size={"height": EDGE, "width": EDGE}).save_pretrained(folder / "vit")
    backbone = VitPoseBackboneConfig(
        **small, image_size=[64, 48], patch_size=[8, 8], mlp_ratio=2, num_experts=1, part_features=8, out_indices=[2]
    )
    set_seed(0)
    of_poses = VitPoseConfig(backbone_config=backbone, use_simple_decoder=True, num_labels=5)
    VitPoseForPoseEstimation(of_poses).save_pretrained(folder / "vitpose")
    VitPoseImageProcessor(size={"height": 64, "width": 48}).save_pretrained(folder / "vitpose")


def _write_detector(folder: Path) -> None:
    """An RT-DETR without the noisy queries, which processes draw differently."""
    stages: Any = {"hidden_sizes": [16, 16, 32, 32], "depths": [1, 1, 1, 1], "embedding_size": 16}
    backbone = RTDetrResNetConfig(**stages, layer_type="basic", out_features=["stage2", "stage3", "stage4"])
    small: Any = {"d_model": 32, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "num_queries": 20, "decoder_layers": 2}
    further: Any = {"encoder_attention_heads": 4, "decoder_attention_heads": 4, "encoder_hidden_dim": 32}
    channels: Any = {"encoder_in_channels": [16, 32, 32], "decoder_in_channels": [32, 32, 32]}
    settings = RTDetrConfig(
        backbone_config=backbone, num_denoising=0, hidden_expansion=0.5, num_labels=2, dropout=0.0,
        **small, **further, **channels,
    )  # fmt: skip
    set_seed(0)
    model = AutoModelForObjectDetection.from_config(settings)
    for value in model.parameters():  # what starts at zero no longer is after pretraining
        if not value.any():
            torch.nn.init.normal_(value, std=0.02)
    model.save_pretrained(folder / "detector")
    RTDetrImageProcessor(size={"height": 64, "width": 64}).save_pretrained(folder / "detector")


def _write_models_that_count(folder: Path) -> None:
    """A YOLOS and a MaskFormer: their losses are means over all processes' objects by transformers' own count."""
    square: Any = {"height": 64, "width": 64}
    small: Any = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    further: Any = {"image_size": [64, 64], "num_detection_tokens": 10, "use_mid_position_embeddings": False}
    set_seed(0)
    YolosForObjectDetection(YolosConfig(**small, **further, num_labels=2)).save_pretrained(folder / "yolos")
    YolosImageProcessor(size=square).save_pretrained(folder / "yolos")
    stages: Any = {"embed_dim": 16, "depths": [1, 1, 1, 1], "num_heads": [1, 2, 2, 4], "window_size": 4}
    swin = SwinConfig(
        **stages, image_size=64, drop_path_rate=0.0, out_features=["stage1", "stage2", "stage3", "stage4"]
    )
    layers: Any = {"d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 64, "dropout": 0.0}
    heads: Any = {"decoder_ffn_dim": 64, "encoder_attention_heads": 4, "decoder_attention_heads": 4, "num_queries": 8}
    decoder = DetrConfig(**layers, **heads)
    settings = MaskFormerConfig(
        backbone_config=swin, decoder_config=decoder, fpn_feature_size=32, mask_feature_size=32, num_labels=2
    )
    set_seed(0)
    MaskFormerForInstanceSegmentation(settings).save_pretrained(folder / "maskformer")
    MaskFormerImageProcessor(size=square).save_pretrained(folder / "maskformer")
