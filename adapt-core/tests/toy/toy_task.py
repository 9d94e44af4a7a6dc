"""The toy task: rows are ``{"ids": [...], "label": 0 or 1}`` in a JSON file; the model is a tiny BERT."""

import hashlib
import json
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification

from adapt_core.bundles import Data, Evaluated, Inspected, Model, Section
from adapt_core.engines.trainer.inputs import TrainerInputs
from adapt_core.interfaces import Task
from adapt_core.models.architecture import hints_for
from adapt_core.models.pretrained import save_model


def collate(rows):
    width = max(len(row["ids"]) for row in rows)
    return {
        "input_ids": torch.tensor([row["ids"] + [0] * (width - len(row["ids"])) for row in rows]),
        "attention_mask": torch.tensor([[1] * len(row["ids"]) + [0] * (width - len(row["ids"])) for row in rows]),
        "labels": torch.tensor([row["label"] for row in rows]),
    }


class Accuracy:
    def __init__(self):
        self.right = self.rows = 0

    def update(self, batch, outputs):
        self.right += int((outputs["logits"].argmax(-1) == batch["labels"]).sum())
        self.rows += len(batch["labels"])

    def result(self, world):
        counts = world.gather((self.right, self.rows))
        rows = sum(each for _, each in counts)
        return Evaluated({"accuracy": sum(right for right, _ in counts) / rows}, None)


class Toy(Task):
    def load_data(self):
        content = json.loads(Path(self.plan.dataset.path).read_text())
        mark = hashlib.sha256(json.dumps(content).encode()).hexdigest()
        info = {"fingerprint": mark, "rows": {"train": len(content["train"])}, "evaluation": "split validation"}
        return Data(content["train"], content["validation"], info)

    def load_split(self, source, split, info):
        return Data(None, self.load_data().evaluation, {**info, "evaluation": "split validation"})

    def load_model(self, info, path=None, quantizer=None):
        further = quantizer.load_kwargs(["classifier"]) if quantizer else {}
        module, loaded = AutoModelForSequenceClassification.from_pretrained(
            path or self.plan.model.path, num_labels=2, output_loading_info=True, **further
        )
        return Model(module, None, hints_for(module, loaded["missing_keys"], self.plan.train_head))

    def engine_inputs(self, data, model):
        lengths = [len(row["ids"]) for row in data.train or ()]
        return TrainerInputs(data.train, data.evaluation, collate, Accuracy, lengths)

    def save_model(self, model, folder):
        save_model(model, folder)

    def preview(self, data):
        return [Section("Rows", "table", ["label"], [[row["label"]] for row in data.train[:2]])]

    def inspect(self, data, processor, examples):
        return [
            Inspected(
                name,
                [tuple(row["ids"]) for row in rows],
                [len(row["ids"]) for row in rows],
                labels=dict(Counter(str(row["label"]) for row in rows)),
                examples=[Section(f"Rows of {name}", "table", ["label"], [[row["label"]] for row in rows[:examples]])],
            )
            for name, rows in (("train", data.train), ("validation", data.evaluation))
        ]

    def sections(self, evaluated, data):
        return [Section("Samples", "table", ["label"], [[row["label"]] for row in data.evaluation[:2]])]

    def probe_rows(self, data):
        return data.evaluation[:4]

    def outputs(self, model, rows, info):
        batch = collate(rows)
        batch.pop("labels")
        device = next(model.module.parameters()).device
        training = model.module.training
        model.module.eval()
        with torch.inference_mode():
            logits = model.module(**{name: value.to(device) for name, value in batch.items()}).logits
        model.module.train(training)
        return list(logits.float().cpu().numpy())

    def parse_inputs(self, inputs, file, info):
        return [{"ids": json.loads(text), "label": 0} for text in inputs]

    def predict(self, model, rows, info, options):
        for logits in self.outputs(model, rows, info):
            yield {"label": int(np.argmax(logits))}

    def card(self, info, folder):
        return "# A toy\n"
