"""The head of a spread of timm's families is found, and has an output a class. No weights are made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from annotated_contract import planned

import adapt_core

FAMILIES = (
    "beit_base_patch16_224",
    "botnet26t_256",
    "coat_tiny",
    "coatnet_pico_rw_224",
    "convit_tiny",
    "convmixer_768_32",
    "convnext_atto",
    "cpubone_b3",
    "crossvit_9_240",
    "cspresnet50",
    "darknet17",
    "deit_tiny_distilled_patch16_224",
    "densenet121",
    "dpn48b",
    "edgenext_xx_small",
    "efficientformer_l1",
    "efficientnet_b0",
    "efficientvim_m1",
    "efficientvit_b0",
    "ese_vovnet19b_slim",
    "fastvit_t8",
    "gcresnet33ts",
    "ghostnet_050",
    "hgnetv2_b0",
    "inception_v4",
    "levit_128",
    "mixer_s32_224",
    "mobilenetv3_small_050",
    "mobilevit_xxs",
    "nf_resnet26",
    "pit_ti_distilled_224",
    "poolformer_s12",
    "pvt_v2_b0",
    "regnetx_002",
    "repvgg_a0",
    "repvit_m1",
    "res2net50_26w_4s",
    "resnet18",
    "rexnet_100",
    "samvit_base_patch16",
    "swin_tiny_patch4_window7_224",
    "tf_efficientnet_lite0",
    "tresnet_m",
    "vgg11",
    "vit_tiny_patch16_224",
    "volo_d1_224",
    "xcit_nano_12_p16_224",
)
CLASSES = [f"class {number}" for number in range(37)]
"""So many that no other layer has as many outputs."""


@pytest.mark.parametrize("name", FAMILIES)
def test_all_that_depends_on_the_classes_is_the_head(name: str, config: dict[str, Any], tmp_path: Path) -> None:
    task = planned(config, tmp_path, model={"path": None, "name": name, "pretrained": False})
    with torch.device("meta"):
        model = task.load_model({"label_names": CLASSES})
    assert model.hints.head == model.hints.fresh
    sized = {each for each, value in model.module.named_parameters() if value.shape[:1] == (len(CLASSES),)}
    for head in model.hints.head:
        assert any(each.startswith(f"{head}.") for each in sized)
    assert all(any(each.startswith(f"{head}.") for head in model.hints.head) for each in sized) and sized


@pytest.mark.parametrize(
    ("name", "heads"),
    [
        ("crossvit_9_240", {"head.0", "head.1"}),
        ("levit_128", {"head", "head_dist"}),
        ("volo_d1_224", {"head", "aux_head"}),
        ("deit_tiny_distilled_patch16_224", {"head", "head_dist"}),
    ],
)
def test_every_one_of_several_heads_is_trained_beside_an_adapter(name: str, heads: set[str]) -> None:
    with torch.device("meta"):
        module = adapt_core.apply_method(timm.create_model(name, num_classes=3), "lora", target_modules="all-linear")
    trained = {each for each, value in module.named_parameters() if value.requires_grad and "lora" not in each}
    whole = {each.partition(".modules_to_save.")[0].removeprefix("base_model.model.") for each in trained}
    assert whole == heads
