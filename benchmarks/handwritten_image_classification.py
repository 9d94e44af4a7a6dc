"""A hand-written script as people write them with torchvision, PEFT and the Trainer: what Adapt is measured against.

It knows nothing of Adapt. Its rows come in an order that follows from seed and epoch alone, which is Adapt's too. Its
argument is a JSON object with ``library``, ``model`` (a folder), ``data`` (with ``train`` and ``test``), ``size``,
``method`` (full, last_layer, lora or ssf; lora with ``r``, ``alpha`` and ``dropout``), ``lr``, ``batch_size``,
``epochs``, ``seed`` and ``output``. It prints one JSON object with the seconds of training, the accuracy on the test
images, and how many parameters were trained.
"""

import json
import sys

import numpy as np
import timm
import torch
from handwritten import ordered, seconds_of_training, usual_arguments
from peft import LoraConfig, get_peft_model
from processor_clock import ProcessorClock
from timm.data import create_transform, resolve_model_data_config
from torch import nn
from torchvision.datasets import ImageFolder
from torchvision.transforms import InterpolationMode, v2
from transformers import (
    AutoImageProcessor,
    AutoModelForImageClassification,
    Trainer,
    TrainingArguments,
    default_data_collator,
    set_seed,
)

settings = json.loads(sys.argv[1])
set_seed(settings["seed"])
classes = len(ImageFolder(f"{settings['data']}/train").classes)
size = settings["size"]


def scale_and_shift(layer, _, output):
    return output * layer.scale + layer.shift


def add_scale_and_shift(model):
    """SSF: behind every convolution and batch normalisation, but for those that end with an activation."""
    for layer in model.modules():
        convolution = isinstance(layer, nn.Conv2d)
        if convolution or (isinstance(layer, nn.BatchNorm2d) and not is_activation(getattr(layer, "act", None))):
            channels = layer.out_channels if convolution else layer.num_features
            layer.scale = nn.Parameter(torch.ones(channels, 1, 1))
            layer.shift = nn.Parameter(torch.zeros(channels, 1, 1))
            layer.register_forward_hook(scale_and_shift)


def is_activation(layer):
    return layer is not None and not isinstance(layer, nn.Identity)


def with_lora(model):
    """LoRA on every plain convolution that is not depthwise; PEFT does not pad as timm's own kinds of them do."""
    targets = [name for name, each in model.named_modules() if type(each) is nn.Conv2d and each.groups == 1]
    return get_peft_model(
        model,
        LoraConfig(
            r=settings["r"],
            lora_alpha=settings["alpha"],
            lora_dropout=settings["dropout"],
            target_modules=targets,
            modules_to_save=["classifier"],
        ),
    )


class Classifier(nn.Module):
    """A model of either library that takes and gives what the Trainer wants."""

    def __init__(self):
        super().__init__()
        if settings["library"] == "timm":
            self.model = timm.create_model(f"local-dir:{settings['model']}", pretrained=True, num_classes=classes)
        else:
            self.model = AutoModelForImageClassification.from_pretrained(
                settings["model"], num_labels=classes, ignore_mismatched_sizes=True
            )
        if settings["method"] in ("last_layer", "ssf"):
            self.model.requires_grad_(False)
            self.model.classifier.requires_grad_(True)
        if settings["method"] == "ssf":
            add_scale_and_shift(self.model)
        if settings["method"] == "lora":
            self.model = with_lora(self.model)

    def train(self, mode=True):
        super().train(mode)
        if settings["method"] != "full":  # frozen batch normalisation keeps its statistics
            for layer in self.modules():
                if isinstance(layer, nn.BatchNorm2d):
                    layer.eval()
        return self

    def forward(self, pixel_values, labels=None):
        logits = self.model(pixel_values)
        logits = getattr(logits, "logits", logits)
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


model = Classifier()
if settings["library"] == "timm":
    config = resolve_model_data_config(model.model) | {"input_size": (3, size, size)}
    evaluation = create_transform(**config)
    interpolation, mean, std = config["interpolation"], config["mean"], config["std"]
else:
    processor = AutoImageProcessor.from_pretrained(settings["model"])
    edge = round(processor.size["shortest_edge"] * size / processor.crop_size["height"])
    processor.size, processor.crop_size = {"shortest_edge": edge}, {"height": size, "width": size}
    interpolation, mean, std = "bilinear", processor.image_mean, processor.image_std

    def evaluation(image):
        return processor(images=image, return_tensors="pt")["pixel_values"][0]


training = v2.Compose(
    [
        v2.RandomResizedCrop(size, (0.8, 1.0), interpolation=InterpolationMode(interpolation)),
        v2.RandomHorizontalFlip(),
        v2.PILToTensor(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(mean, std),
    ]
)


class Images(ImageFolder):
    def __getitem__(self, index):
        pixels, label = super().__getitem__(index)
        return {"pixel_values": pixels, "labels": label}


train, test = Images(f"{settings['data']}/train", training), Images(f"{settings['data']}/test", evaluation)


trainer = ordered(Trainer)(
    model=model,
    args=TrainingArguments(
        **usual_arguments(settings),
        remove_unused_columns=False,
    ),
    train_dataset=train,
    eval_dataset=test,
    data_collator=default_data_collator,
    compute_metrics=lambda output: {"accuracy": float(np.mean(output.predictions.argmax(-1) == output.label_ids))},
)
trainer.add_callback(ProcessorClock)
seconds = seconds_of_training(trainer)
trained = sum(each.numel() for each in model.parameters() if each.requires_grad)
accuracy = trainer.evaluate()["eval_accuracy"]
print(json.dumps({"seconds": seconds, "accuracy": accuracy, "rows": len(test), "trained": trained}))
