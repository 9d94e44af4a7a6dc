"""A hand-written script as people write them with the Trainer and pycocotools: what Adapt is measured against.

It knows nothing of Adapt. Its rows come in an order that follows from seed and epoch alone, which is Adapt's too. Its
argument is a JSON object with ``model`` (a folder), ``data`` (with ``annotations/train.json`` and so on), ``lr``,
``batch_size``, ``epochs``, ``seed``, ``output`` and the ``split`` to measure on, ``val`` by default. It prints one JSON
object with the seconds of training, the losses of all steps and AP.
"""

import contextlib
import io
import json
import sys

import torch
from handwritten import ordered, seconds_of_training, usual_arguments
from PIL import Image
from processor_clock import ProcessorClock
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch.utils.data import Dataset
from transformers import AutoImageProcessor, AutoModelForObjectDetection, Trainer, TrainingArguments, set_seed

settings = json.loads(sys.argv[1])
set_seed(settings["seed"])
split = settings.get("split", "val")
with contextlib.redirect_stdout(io.StringIO()):
    annotations = {name: COCO(f"{settings['data']}/annotations/{name}.json") for name in {"train", split}}
categories = sorted(annotations["train"].getCatIds())
processor = AutoImageProcessor.from_pretrained(settings["model"])
model = AutoModelForObjectDetection.from_pretrained(
    settings["model"], num_labels=len(categories), ignore_mismatched_sizes=True
)


class Images(Dataset):
    """Images with their annotations, the categories numbered from 0."""

    def __init__(self, split):
        self.split, self.coco = split, annotations[split]
        self.ids = list(self.coco.imgs)

    def __len__(self):
        return len(self.ids)

    def __getitem__(self, row):
        number = self.ids[row]
        image = Image.open(f"{settings['data']}/{self.split}/{self.coco.imgs[number]['file_name']}").convert("RGB")
        found = self.coco.loadAnns(self.coco.getAnnIds(number))
        found = [{**each, "category_id": categories.index(each["category_id"])} for each in found]
        return image, {"image_id": number, "annotations": found}


def collate(samples):
    images, found = zip(*samples, strict=True)
    return dict(processor(images=list(images), annotations=list(found), return_tensors="pt"))


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
    batch = collate(samples)
    labels = batch.pop("labels")
    with torch.no_grad():
        outputs = model(**{name: value.to(model.device) for name, value in batch.items()})
    sizes = torch.stack([each["orig_size"] for each in labels])
    for (_, sample), found in zip(
        samples, processor.post_process_object_detection(outputs, threshold=0.0, target_sizes=sizes), strict=True
    ):
        for box, label, score in zip(found["boxes"].tolist(), found["labels"], found["scores"], strict=True):
            left, top, right, bottom = box
            results.append(
                {
                    "image_id": sample["image_id"],
                    "category_id": categories[int(label)],
                    "bbox": [left, top, right - left, bottom - top],
                    "score": float(score),
                }
            )
with contextlib.redirect_stdout(io.StringIO()):
    measured = COCOeval(annotations[split], annotations[split].loadRes(results), "bbox")
    measured.evaluate()
    measured.accumulate()
    measured.summarize()
losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
print(json.dumps({"seconds": seconds, "losses": losses, "ap": measured.stats[0], "ap50": measured.stats[1]}))
