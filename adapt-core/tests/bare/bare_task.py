"""Pictures of 8 by 8 points of which one quarter is bright, as tensors in one file."""

import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from bare_engine import BareInputs
from safetensors.torch import load_model, save_model
from torch import nn

from adapt_core.bundles import Data, Evaluated, Hints, Model, Section
from adapt_core.interfaces import Task

NAMES = ["north-west", "north-east", "south-west", "south-east"]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.hidden = nn.Linear(8 * 16, 32)
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(32, 4)

    def forward(self, x):
        x = nn.functional.max_pool2d(torch.relu(self.norm(self.conv(x))), 2)  # (rows, 8, 4, 4)
        return self.head(self.dropout(torch.relu(self.hidden(x.flatten(1)))))


def collate(rows):
    return {
        "pictures": torch.tensor(np.stack([row["picture"] for row in rows]), dtype=torch.float32)[:, None],
        "labels": torch.tensor([row["label"] for row in rows]),
    }


def step(module, batch):
    logits = module(batch["pictures"])
    return {"logits": logits, "loss": nn.functional.cross_entropy(logits, batch["labels"])}


class Accuracy:
    def __init__(self):
        self.right = self.rows = 0

    def update(self, batch, outputs):
        self.right += int((outputs["logits"].argmax(-1) == batch["labels"]).sum())
        self.rows += len(batch["labels"])

    def result(self, world):
        return Evaluated({"accuracy": self.right / self.rows}, self.right)


class Shapes(Task):
    def load_data(self):
        with np.load(self.plan.dataset.path) as file:
            pictures, labels = file["pictures"], file["labels"]
        rows = [{"picture": each.tolist(), "label": int(label)} for each, label in zip(pictures, labels, strict=True)]
        mark = hashlib.sha256(pictures.tobytes() + labels.tobytes()).hexdigest()
        held = len(rows) // 5
        info = {"fingerprint": mark, "rows": {"train": len(rows) - held}, "evaluation": "the last fifth"}
        return Data(rows[:-held], rows[-held:], info)

    def load_split(self, source, split, info):
        return Data(None, self.load_data().evaluation, {**info, "evaluation": "the last fifth"})

    def load_model(self, info, path=None, quantizer=None):
        module = Net()
        load_model(module, str(Path(path or self.plan.model.path) / "weights.safetensors"))
        fresh = () if path else ("head",)
        if fresh:
            module.head.reset_parameters()
        return Model(module, None, Hints(head=("head",), fresh=fresh, train_head=self.plan.train_head))

    def save_model(self, model, folder):
        Path(folder).mkdir(parents=True, exist_ok=True)
        save_model(model.module, str(Path(folder) / "weights.safetensors"))

    def engine_inputs(self, data, model):
        return BareInputs(data.train, data.evaluation, collate, step, Accuracy)

    def preview(self, data):
        return [Section("Rows", "table", ["label"], [[NAMES[row["label"]]] for row in data.train[:2]])]

    def sections(self, evaluated, data):
        return [Section("Right", "table", ["rows"], [[evaluated.outputs]])]

    def probe_rows(self, data):
        return data.evaluation[:5]

    def outputs(self, model, rows, info):
        training = model.module.training
        model.module.eval()
        with torch.inference_mode():
            logits = model.module(collate(rows)["pictures"])
        model.module.train(training)
        return list(logits.float().numpy())

    def parse_inputs(self, inputs, file, info):
        return [{"picture": json.loads(text), "label": 0} for text in inputs]

    def predict(self, model, rows, info, options):
        for each in self.outputs(model, rows, info):
            yield {"label": NAMES[int(each.argmax())]}

    def card(self, info, folder):
        return "# Shapes\n"
