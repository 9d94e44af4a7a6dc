"""Hand-written scripts as people start them with torchrun: Trainer, PEFT and TRL, the model whole in every process.

They know nothing of Adapt. Rows come in an order that follows from seed and epoch alone, which is Adapt's. The argument
is a JSON object with ``kind`` (``classification``, ``qlora`` or ``detection``), ``model``, ``train`` (a file, or COCO's
folder), ``lr``, ``batch_size`` (of each process), ``steps``, ``seed`` and ``output``. The main process writes
``result.json`` there: seconds of training, losses of all steps, and the peak memory of every process.
"""

import json
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist
from handwritten import ordered
from torch.utils.data import Dataset
from transformers import Trainer, TrainingArguments, set_seed

LORA = {"r": 8, "lora_alpha": 16, "lora_dropout": 0.0, "target_modules": "all-linear"}
# For losses that are means: by default the Trainer multiplies them by the number of processes.
MEANS = {"average_tokens_across_devices": False}


def arguments(settings, kind=TrainingArguments, **more):
    return kind(
        output_dir=settings["output"],
        per_device_train_batch_size=settings["batch_size"],
        max_steps=settings["steps"],
        learning_rate=settings["lr"],
        seed=settings["seed"],
        ddp_find_unused_parameters=False,
        bf16=False,
        use_cpu=True,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        optim="adamw_torch",
        **more,
    )


def rows_of(settings):
    from datasets import load_dataset

    return load_dataset("json", data_files=settings["train"], cache_dir=f"{settings['output']}/cache")["train"]


def classification(settings):
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, DataCollatorWithPadding

    data, tokenizer = rows_of(settings), AutoTokenizer.from_pretrained(settings["model"])
    classes = len(set(data["label"]))
    data = data.map(lambda rows: tokenizer(rows["text"], truncation=True, max_length=512), batched=True)
    data = data.remove_columns(["text"]).rename_column("label", "labels")
    model = AutoModelForSequenceClassification.from_pretrained(settings["model"], num_labels=classes)
    model = get_peft_model(model, LoraConfig(task_type="SEQ_CLS", **LORA))
    collate = DataCollatorWithPadding(tokenizer)
    return ordered(Trainer)(model=model, args=arguments(settings, **MEANS), train_dataset=data, data_collator=collate)


def qlora(settings):
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig
    from trl import SFTConfig, SFTTrainer

    quantization = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.float32,
    )
    model = AutoModelForCausalLM.from_pretrained(
        settings["model"], dtype=torch.float32, quantization_config=quantization, device_map={"": "cpu"}
    )
    return ordered(SFTTrainer)(
        model=model,
        args=arguments(settings, SFTConfig, max_length=256, gradient_checkpointing=False),
        train_dataset=rows_of(settings),
        processing_class=AutoTokenizer.from_pretrained(settings["model"]),
        peft_config=LoraConfig(task_type="CAUSAL_LM", **LORA),
    )


def detection(settings):
    from PIL import Image
    from pycocotools.coco import COCO
    from transformers import AutoImageProcessor, AutoModelForObjectDetection

    coco = COCO(f"{settings['train']}/annotations/train.json")
    categories = sorted(coco.getCatIds())
    processor = AutoImageProcessor.from_pretrained(settings["model"])
    model = AutoModelForObjectDetection.from_pretrained(settings["model"], num_labels=len(categories))

    class Images(Dataset):
        """Images with their annotations, the categories numbered from 0."""

        def __len__(self):
            return len(coco.imgs)

        def __getitem__(self, row):
            number = list(coco.imgs)[row]
            image = Image.open(f"{settings['train']}/train/{coco.imgs[number]['file_name']}").convert("RGB")
            found = coco.loadAnns(coco.getAnnIds(number))
            found = [{**each, "category_id": categories.index(each["category_id"])} for each in found]
            return image, {"image_id": number, "annotations": found}

    def collate(samples):
        images, found = zip(*samples, strict=True)
        return dict(processor(images=list(images), annotations=list(found), return_tensors="pt"))

    class ByBoxes(Trainer):
        """RT-DETR's loss is a mean over the boxes of one process; this is one over those of all."""

        def compute_loss(self, model, inputs, **given):
            loss = super().compute_loss(model, inputs, **given)
            own = torch.tensor(max(float(sum(len(each["class_labels"]) for each in inputs["labels"])), 1.0))
            total = own.clone()
            dist.all_reduce(total)
            return loss * own * dist.get_world_size() / total

    args = arguments(settings, remove_unused_columns=False, **MEANS)
    return ordered(ByBoxes)(model=model, args=args, train_dataset=Images(), data_collator=collate)


def peaks():
    """The most memory that every process has had, in bytes."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
    found = [None] * dist.get_world_size()
    dist.all_gather_object(found, int(fields["VmHWM"].split()[0]) * 1024)
    return found


def main():
    settings = json.loads(sys.argv[1])
    set_seed(settings["seed"])
    trainer = {"classification": classification, "qlora": qlora, "detection": detection}[settings["kind"]](settings)
    begin = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - begin
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    result = {"seconds": seconds, "losses": losses, "peaks": peaks()}
    if dist.get_rank() == 0:
        Path(settings["output"], "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main()
