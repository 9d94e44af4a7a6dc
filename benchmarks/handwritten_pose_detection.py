"""A hand-written script as people write them with the Trainer and pycocotools: what Adapt is measured against.

It knows nothing of Adapt. Its rows come in an order that follows from seed and epoch alone, which is Adapt's too. Its
argument is a JSON object with ``model`` (a folder), ``data`` (with ``annotations/train.json`` and so on, an object an
image), ``lr``, ``batch_size``, ``epochs``, ``seed``, ``output`` and the ``split`` to measure on, ``val`` by
default. It prints one JSON object with the seconds of training, the losses of all steps, AP and PCK@0.1.
"""

import contextlib
import io
import json
import sys
from types import SimpleNamespace

import numpy as np
import torch
from handwritten import ordered, seconds_of_training, usual_arguments
from PIL import Image
from processor_clock import ProcessorClock
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch.utils.data import Dataset
from transformers import AutoImageProcessor, Trainer, TrainingArguments, VitPoseForPoseEstimation, set_seed

settings = json.loads(sys.argv[1])
set_seed(settings["seed"])
split = settings.get("split", "val")
with contextlib.redirect_stdout(io.StringIO()):
    annotations = {name: COCO(f"{settings['data']}/annotations/{name}.json") for name in {"train", split}}
names = annotations["train"].loadCats(annotations["train"].getCatIds())[0]["keypoints"]
processor = AutoImageProcessor.from_pretrained(settings["model"])
model = VitPoseForPoseEstimation.from_pretrained(settings["model"], num_labels=len(names), ignore_mismatched_sizes=True)
width, height = processor.size["width"], processor.size["height"]
rows, columns = (
    edge // patch * model.config.scale_factor
    for edge, patch in zip((height, width), model.config.backbone_config.patch_size, strict=True)
)


class Mice(Dataset):
    """Images, decoded once, with the annotation of each."""

    def __init__(self, split):
        self.coco = annotations[split]
        self.found = [self.coco.anns[number] for number in self.coco.anns]
        folder = f"{settings['data']}/{split}"
        self.images = [
            Image.open(f"{folder}/{self.coco.imgs[each['image_id']]['file_name']}").convert("RGB")
            for each in self.found
        ]

    def __len__(self):
        return len(self.found)

    def __getitem__(self, row):
        return self.images[row], self.found[row]


def targets(found):
    """Gaussians around the keypoints, and which of these count."""
    maps, weights = np.zeros((len(names), rows, columns), np.float32), np.zeros(len(names), np.float32)
    left, top, w, h = found["bbox"]
    longer = 1.25 * max(w, h * width / height)  # the crop: the box with a margin, in the proportions of the input
    corner = left + w / 2 - longer / 2, top + h / 2 - longer * height / width / 2
    for place, (x, y, visible) in enumerate(np.reshape(found["keypoints"], (-1, 3))):
        across = (x - corner[0]) / longer * (columns - 1)
        down = (y - corner[1]) / (longer * height / width) * (rows - 1)
        sigma = rows / 32
        if visible and -3 * sigma < across < columns - 1 + 3 * sigma and -3 * sigma < down < rows - 1 + 3 * sigma:
            weights[place] = 1
        grid = np.mgrid[:rows, :columns]
        maps[place] = np.exp(-((grid[1] - across) ** 2 + (grid[0] - down) ** 2) / (2 * sigma**2))
    return maps, weights


def collate(samples):
    images, found = zip(*samples, strict=True)
    pixels = processor(images=list(images), boxes=[[each["bbox"]] for each in found], return_tensors="pt")
    maps, weights = zip(*(targets(each) for each in found), strict=True)
    return {**pixels, "maps": torch.from_numpy(np.stack(maps)), "weights": torch.from_numpy(np.stack(weights))}


class PoseTrainer(ordered(Trainer)):
    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        heatmaps = model(pixel_values=inputs["pixel_values"]).heatmaps
        loss = (inputs["weights"][..., None, None] * (heatmaps - inputs["maps"]) ** 2).mean()
        return (loss, heatmaps) if return_outputs else loss


train, test = Mice("train"), Mice(split)
trainer = PoseTrainer(
    model=model,
    args=TrainingArguments(
        **usual_arguments(settings) | {"logging_steps": 1},
        remove_unused_columns=False,
    ),
    train_dataset=train,
    data_collator=collate,
)
trainer.add_callback(ProcessorClock)
seconds = seconds_of_training(trainer)

model.eval()
results, near, counted = [], 0, 0
for image, found in test:
    inputs = processor(images=image, boxes=[[found["bbox"]]], return_tensors="pt").to(model.device)
    with torch.no_grad():
        heatmaps = model(**inputs).heatmaps
    ((made,),) = processor.post_process_pose_estimation(SimpleNamespace(heatmaps=heatmaps), boxes=[[found["bbox"]]])
    keypoints = torch.cat([made["keypoints"], made["scores"][:, None]], -1).double().numpy()
    truth = np.reshape(found["keypoints"], (-1, 3))
    distances = np.linalg.norm(keypoints[:, :2] - truth[:, :2], axis=1)[truth[:, 2] > 0]
    near += int((distances <= 0.1 * max(found["bbox"][2:])).sum())
    counted += len(distances)
    results.append(
        {
            "image_id": found["image_id"],
            "category_id": found["category_id"],
            "keypoints": keypoints.reshape(-1).tolist(),
            "score": float(keypoints[:, 2].mean()),
        }
    )
with contextlib.redirect_stdout(io.StringIO()):
    measured = COCOeval(annotations[split], annotations[split].loadRes(results), "keypoints")
    measured.params.kpt_oks_sigmas = np.full(len(names), 0.05)
    measured.evaluate()
    measured.accumulate()
    measured.summarize()
losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
print(json.dumps({"seconds": seconds, "losses": losses, "ap": measured.stats[0], "pck": near / counted}))
