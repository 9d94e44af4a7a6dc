"""A hand-written script as people write them with the Trainer and pycocotools: what Adapt is measured against.

It knows nothing of Adapt. Its rows come in an order that follows from seed and epoch alone, which is Adapt's too. Its
argument is a JSON object with ``model`` (a folder), ``data`` (with ``annotations/train.json`` and so on), ``lr``,
``batch_size``, ``epochs``, ``seed``, ``output`` and the ``split`` to measure on, ``val`` by default. It prints one JSON
object with the seconds of training, the losses of all steps and AP.
"""

import contextlib
import hashlib
import io
import json
import sys
import time

import torch
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch.utils.data import Dataset, Sampler
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


def derived_seed(*parts):
    """As Adapt makes it, so that both train on the rows in one order."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4], "big")


class Order(Sampler):
    """A permutation of the rows that depends on the seed and the epoch alone."""

    epoch = 0

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __len__(self):
        return len(train)

    def __iter__(self):
        generator = torch.Generator().manual_seed(derived_seed(settings["seed"], self.epoch))
        return iter(torch.randperm(len(self), generator=generator).tolist())


class OrderedTrainer(Trainer):
    def _get_train_sampler(self, train_dataset=None):
        return Order()


train, test = Images("train"), Images(split)
trainer = OrderedTrainer(
    model=model,
    args=TrainingArguments(
        output_dir=settings["output"],
        per_device_train_batch_size=settings["batch_size"],
        num_train_epochs=settings["epochs"],
        learning_rate=settings["lr"],
        seed=settings["seed"],
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        optim="adamw_torch",
        remove_unused_columns=False,
    ),
    train_dataset=train,
    data_collator=collate,
)
begin = time.perf_counter()
trainer.train()
seconds = time.perf_counter() - begin

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
