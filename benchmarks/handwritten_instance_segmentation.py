"""A hand-written script as people write them with the Trainer and pycocotools: what Adapt is measured against.

It knows nothing of Adapt. Its rows come in an order that follows from seed and epoch alone, which is Adapt's too. Its
argument is a JSON object with ``model`` (a folder), ``data`` (with ``annotations/train.json`` and so on), ``lr``,
``batch_size``, ``epochs``, ``seed``, ``output`` and the ``split`` to measure on, ``val`` by default. It prints one JSON
object with the seconds of training, the losses of all steps and mask AP. Objects must not overlap: they become one map
an image.
"""

import contextlib
import io
import json
import sys

import numpy as np
import torch
from handwritten import ordered, seconds_of_training, usual_arguments
from PIL import Image
from processor_clock import ProcessorClock
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch.utils.data import Dataset
from transformers import (
    AutoImageProcessor,
    AutoModelForUniversalSegmentation,
    Trainer,
    TrainingArguments,
    set_seed,
)

settings = json.loads(sys.argv[1])
set_seed(settings["seed"])
split = settings.get("split", "val")
with contextlib.redirect_stdout(io.StringIO()):
    annotations = {name: COCO(f"{settings['data']}/annotations/{name}.json") for name in {"train", split}}
categories = sorted(annotations["train"].getCatIds())
processor = AutoImageProcessor.from_pretrained(settings["model"])
model = AutoModelForUniversalSegmentation.from_pretrained(
    settings["model"], num_labels=len(categories), ignore_mismatched_sizes=True
)


class Images(Dataset):
    """Images with a map of the objects, numbered from 1, and the class of each number."""

    def __init__(self, split):
        self.split, self.coco = split, annotations[split]
        self.ids = list(self.coco.imgs)

    def __len__(self):
        return len(self.ids)

    def __getitem__(self, row):
        number = self.ids[row]
        image = Image.open(f"{settings['data']}/{self.split}/{self.coco.imgs[number]['file_name']}").convert("RGB")
        numbered, classes = np.zeros((image.height, image.width), np.int32), {}
        for place, each in enumerate(self.coco.loadAnns(self.coco.getAnnIds(number)), 1):
            numbered[self.coco.annToMask(each) > 0] = place
            classes[place] = categories.index(each["category_id"])
        return image, numbered, classes


def collate(samples):
    images, maps, classes = zip(*samples, strict=True)
    made = processor(
        images=list(images),
        segmentation_maps=list(maps),
        instance_id_to_semantic_id=list(classes),
        ignore_index=0,
        return_tensors="pt",
    )
    return dict(made)


train, test = Images("train"), Images(split)
trainer = ordered(Trainer)(
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
results = []
for start in range(0, len(test), 2 * settings["batch_size"]):
    samples = [test[row] for row in range(start, min(start + 2 * settings["batch_size"], len(test)))]
    images = [image for image, _, _ in samples]
    batch = processor(images=images, return_tensors="pt").to(model.device)
    with torch.no_grad():
        outputs = model(**batch)
    sizes = [(image.height, image.width) for image in images]
    found = processor.post_process_instance_segmentation(
        outputs, threshold=0.0, target_sizes=sizes, return_binary_maps=True
    )
    for row, each in enumerate(found, start):
        told = each["segments_info"]
        for one, mask in zip(told, each["segmentation"] if told else [], strict=True):
            results.append(
                {
                    "image_id": test.ids[row],
                    "category_id": categories[one["label_id"]],
                    "segmentation": coco_mask.encode(np.asfortranarray(mask.cpu().numpy().astype(np.uint8))),
                    "score": one["score"],
                }
            )
ap, ap50 = 0.0, 0.0
if results:
    with contextlib.redirect_stdout(io.StringIO()):
        measured = COCOeval(annotations[split], annotations[split].loadRes(results), "segm")
        measured.evaluate()
        measured.accumulate()
        measured.summarize()
    ap, ap50 = measured.stats[:2]
losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
print(json.dumps({"seconds": seconds, "losses": losses, "ap": ap, "ap50": ap50}))
