"""A hand-written script as people write them with MMDet's Runner: what Adapt is measured against.

It knows nothing of Adapt. Its argument is a JSON object with ``config`` (a configuration's name), ``weights``, ``data``
(with ``annotations/train.json`` and so on), ``size``, ``lr``, ``batch_size``, ``epochs``, ``seed``, ``augmented``
(whether images are mirrored and change their colours) and ``output``. It prints one JSON object with the seconds of
training and AP on the validation images.
"""

import json
import sys
import time
from pathlib import Path

import mmdet
from mmengine.config import Config
from mmengine.runner import Runner

settings = json.loads(sys.argv[1])
folder = Path(mmdet.__file__).parent / ".mim" / "configs"
config = Config.fromfile(next(folder.rglob(f"{settings['config']}.py")))
data, size = Path(settings["data"]), (settings["size"], settings["size"])
content = json.loads((data / "annotations" / "train.json").read_text())
classes = tuple(each["name"] for each in content["categories"])

prepared = [
    {"type": "Resize", "scale": size, "keep_ratio": True},
    {"type": "Pad", "pad_to_square": True, "pad_val": {"img": (114.0, 114.0, 114.0)}},
]
reading = [{"type": "LoadImageFromFile"}, {"type": "LoadAnnotations", "with_bbox": True}]
packing = {"type": "PackDetInputs", "meta_keys": ("img_id", "img_path", "ori_shape", "img_shape", "scale_factor")}
plain = [*reading, *prepared, packing]
random = [*reading, {"type": "YOLOXHSVRandomAug"}, {"type": "RandomFlip", "prob": 0.5}, *prepared, packing]


def loader(split, shuffled):
    """A loader of a split."""
    return {
        "batch_size": settings["batch_size"] * (1 if shuffled else 2),
        "num_workers": 0,
        "sampler": {"type": "DefaultSampler", "shuffle": shuffled},
        "dataset": {
            "type": "CocoDataset",
            "metainfo": {"classes": classes},
            "data_root": str(data),
            "ann_file": f"annotations/{split}.json",
            "data_prefix": {"img": f"{split}/"},
            "pipeline": random if shuffled and settings["augmented"] else plain,
            "test_mode": not shuffled,
        },
    }


config.model.bbox_head.num_classes = len(classes)
config.model.data_preprocessor.batch_augments = None
config.train_dataloader, config.val_dataloader = loader("train", True), loader("val", False)
config.val_evaluator = {"type": "CocoMetric", "ann_file": str(data / "annotations" / "val.json"), "metric": "bbox"}
config.test_dataloader = config.test_evaluator = config.test_cfg = None
config.train_cfg = {"type": "EpochBasedTrainLoop", "max_epochs": settings["epochs"], "val_interval": 10**6}
config.optim_wrapper = {
    "type": "OptimWrapper",
    "optimizer": {"type": "AdamW", "lr": settings["lr"], "weight_decay": 0.0},
    "clip_grad": {"max_norm": 1.0},
}
steps = -(-len(content["images"]) // settings["batch_size"]) * settings["epochs"]
config.param_scheduler = [
    {"type": "LinearLR", "start_factor": 1.0, "end_factor": 1e-9, "by_epoch": False, "begin": 0, "end": steps}
]
config.custom_hooks = []
config.default_hooks.checkpoint = {"type": "CheckpointHook", "interval": 10**6, "save_last": False}
config.load_from, config.work_dir = settings["weights"], settings["output"]
config.randomness = {"seed": settings["seed"]}
config.log_level = "WARNING"
runner = Runner.from_cfg(config)
begin = time.perf_counter()
runner.train()
seconds = time.perf_counter() - begin
# The loop measures after its last epoch, which is no training.
metrics = runner.val()
again = time.perf_counter() - begin - seconds
print()
print(json.dumps({"seconds": seconds - again, "ap": metrics["coco/bbox_mAP"], "ap50": metrics["coco/bbox_mAP_50"]}))
