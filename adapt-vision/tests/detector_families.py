"""Every family of detectors that transformers trains, tiny, with weights drawn at random."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

STAGES: dict[str, Any] = {
    "hidden_sizes": [16, 16, 32, 32],
    "depths": [1, 1, 1, 1],
    "embedding_size": 16,
    "layer_type": "basic",
}
WIDTHS: dict[str, Any] = {"d_model": 32, "decoder_ffn_dim": 64, "num_queries": 16, "decoder_layers": 2}
HEADS: dict[str, Any] = {"encoder_ffn_dim": 64, "encoder_attention_heads": 4, "decoder_attention_heads": 4}
HYBRID: dict[str, Any] = {
    "encoder_hidden_dim": 32,
    "encoder_in_channels": [16, 32, 32],
    "decoder_in_channels": [32, 32, 32],
    "num_denoising": 4,
    "hidden_expansion": 0.5,
}
FREE: dict[str, Any] = {"shortest_edge": 64, "longest_edge": 96}
SQUARE: dict[str, Any] = {"height": 64, "width": 64}


def _resnet(*stages: str) -> Any:
    from transformers import ResNetConfig

    return ResNetConfig(**STAGES, out_features=list(stages))


def _rt_resnet() -> Any:
    from transformers import RTDetrResNetConfig

    return RTDetrResNetConfig(**STAGES, out_features=["stage2", "stage3", "stage4"])


def _hgnet() -> Any:
    from transformers import HGNetV2Config

    return HGNetV2Config(
        embedding_size=16,
        depths=[1, 1, 1, 1],
        hidden_sizes=[16, 16, 32, 32],
        stem_channels=[3, 8, 8],
        stage_in_channels=[8, 16, 16, 32],
        stage_mid_channels=[8, 8, 8, 8],
        stage_out_channels=[16, 16, 32, 32],
        stage_num_blocks=[1, 1, 1, 1],
        stage_numb_of_layers=[1, 1, 1, 1],
        out_features=["stage2", "stage3", "stage4"],
    )


def detr() -> tuple[Any, Any]:
    from transformers import DetrConfig, DetrImageProcessor

    settings = DetrConfig(backbone_config=_resnet("stage4"), encoder_layers=1, **WIDTHS, **HEADS)
    return settings, DetrImageProcessor(size=FREE)


def conditional_detr() -> tuple[Any, Any]:
    from transformers import ConditionalDetrConfig, ConditionalDetrImageProcessor

    settings = ConditionalDetrConfig(backbone_config=_resnet("stage4"), encoder_layers=1, **WIDTHS, **HEADS)
    return settings, ConditionalDetrImageProcessor(size=FREE)


def deformable_detr() -> tuple[Any, Any]:
    from transformers import DeformableDetrConfig, DeformableDetrImageProcessor

    settings = DeformableDetrConfig(
        backbone_config=_resnet("stage3", "stage4"), num_feature_levels=2, encoder_layers=1, **WIDTHS, **HEADS
    )
    return settings, DeformableDetrImageProcessor(size=FREE)


def rt_detr() -> tuple[Any, Any]:
    from transformers import RTDetrConfig, RTDetrImageProcessor

    return RTDetrConfig(backbone_config=_rt_resnet(), **HYBRID, **WIDTHS, **HEADS), RTDetrImageProcessor(size=SQUARE)


def rt_detr_v2() -> tuple[Any, Any]:
    from transformers import RTDetrImageProcessor, RTDetrV2Config

    return RTDetrV2Config(backbone_config=_rt_resnet(), **HYBRID, **WIDTHS, **HEADS), RTDetrImageProcessor(size=SQUARE)


def d_fine() -> tuple[Any, Any]:
    from transformers import DFineConfig, RTDetrImageProcessor

    settings = DFineConfig(backbone_config=_hgnet(), lqe_hidden_dim=16, **HYBRID, **WIDTHS, **HEADS)
    return settings, RTDetrImageProcessor(size=SQUARE)


def deimv2() -> tuple[Any, Any]:
    from transformers import Deimv2Config, RTDetrImageProcessor

    settings = Deimv2Config(backbone_config=_hgnet(), lqe_hidden_dim=16, **HYBRID, **WIDTHS, **HEADS)
    return settings, RTDetrImageProcessor(size=SQUARE)


GROUPS: dict[str, Any] = {
    "decoder_self_attention_heads": 4,
    "decoder_cross_attention_heads": 4,
    "group_detr": 2,
    "c2f_num_blocks": 1,
}


def lw_detr() -> tuple[Any, Any]:
    from transformers import DeformableDetrImageProcessor, LwDetrConfig, LwDetrViTConfig

    backbone = LwDetrViTConfig(
        image_size=64,
        pretrain_image_size=64,
        patch_size=16,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_windows=4,
        window_block_indices=[0],
        out_indices=[1, 2],
    )
    settings = LwDetrConfig(backbone_config=backbone, projector_scale_factors=[1.0], **GROUPS, **WIDTHS)
    return settings, DeformableDetrImageProcessor(size=SQUARE)


def rf_detr() -> tuple[Any, Any]:
    from transformers import RfDetrConfig, RfDetrDinov2Config, RfDetrImageProcessor

    backbone = RfDetrDinov2Config(
        image_size=64,
        patch_size=16,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_windows=2,
        out_indices=[1, 2],
    )
    return RfDetrConfig(backbone_config=backbone, **GROUPS, **WIDTHS), RfDetrImageProcessor(size=SQUARE)


def yolos() -> tuple[Any, Any]:
    from transformers import YolosConfig, YolosImageProcessor

    settings = YolosConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        image_size=[64, 64],
        patch_size=16,
        num_detection_tokens=10,
    )
    return settings, YolosImageProcessor(size=FREE)


FAMILIES: dict[str, Callable[[], tuple[Any, Any]]] = {
    each.__name__: each
    for each in (
        detr,
        conditional_detr,
        deformable_detr,
        rt_detr,
        rt_detr_v2,
        d_fine,
        deimv2,
        lw_detr,
        rf_detr,
        yolos,
    )
}


def build(family: str, folder: Path, labels: int = 5, *, zeros: bool = True) -> Path:
    """Saves a model with its processor; without ``zeros``, no layer's weights are all zero, as after training."""
    from torch.nn import init
    from transformers import AutoModelForObjectDetection, set_seed

    settings, processor = FAMILIES[family]()
    settings.num_labels = labels
    set_seed(0)
    made = AutoModelForObjectDetection.from_config(settings)
    for value in made.parameters():
        if not (zeros or value.any()):
            init.normal_(value, std=0.01)
    made.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
