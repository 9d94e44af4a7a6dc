"""A hand-written loop as people start it with torchrun, on torch's ``fully_shard``: all weights of a causal model.

It knows nothing of Adapt; the Trainer makes DDP of FSDP where there is no GPU. Its argument and ``result.json`` are
those of ``handwritten_distributed.py``, without ``kind``. What is sharded together is what accelerate
shards together. Texts of up to 256 tokens, AdamW, a linear schedule, gradients clipped to a norm of 1.
"""

import json
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist
from handwritten import Order
from handwritten_distributed import peaks
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn import functional
from transformers import AutoModelForCausalLM, AutoTokenizer, get_linear_schedule_with_warmup, set_seed

settings = json.loads(sys.argv[1])
dist.init_process_group("gloo")
rank, size = dist.get_rank(), dist.get_world_size()
set_seed(settings["seed"])
tokenizer = AutoTokenizer.from_pretrained(settings["model"])
lines = Path(settings["train"]).read_text().splitlines()
rows = [tokenizer(json.loads(line)["text"] + tokenizer.eos_token)["input_ids"][:256] for line in lines]
model = AutoModelForCausalLM.from_pretrained(settings["model"])
mesh = init_device_mesh("cpu", (size,))
for layer in (*model.model.layers, model.model.embed_tokens):
    fully_shard(layer, mesh=mesh)
fully_shard([model.model.norm, model.lm_head], mesh=mesh, reshard_after_forward=False)
fully_shard(model, mesh=mesh)
optimizer = torch.optim.AdamW(model.parameters(), lr=settings["lr"], weight_decay=0.0)
schedule = get_linear_schedule_with_warmup(optimizer, 0, settings["steps"])


def batches():
    """This process's share of each batch, padded, over epochs without end."""
    order, epoch, count = Order(len(rows), settings["seed"]), 0, settings["batch_size"]
    while True:
        order.set_epoch(epoch)
        numbers = list(order)
        for start in range(0, len(numbers) // (size * count) * size * count, size * count):  # whole batches
            mine = [rows[number] for number in numbers[start : start + size * count]][rank * count :][:count]
            longest = max(map(len, mine))
            ids = torch.full((len(mine), longest), tokenizer.pad_token_id)
            labels, mask = torch.full_like(ids, -100), torch.zeros_like(ids)
            for place, row in enumerate(mine):
                ids[place, : len(row)] = labels[place, : len(row)] = torch.tensor(row)
                mask[place, : len(row)] = 1
            yield ids, labels, mask
        epoch += 1


losses = []
model.train()
begin = time.perf_counter()
for _, (ids, labels, mask) in zip(range(settings["steps"]), batches(), strict=False):
    tokens = (labels[:, 1:] != -100).sum()
    dist.all_reduce(tokens)
    scores = model(input_ids=ids, attention_mask=mask).logits[:, :-1]
    total = functional.cross_entropy(scores.flatten(0, 1), labels[:, 1:].flatten(), reduction="sum")
    (total * size / tokens).backward()  # gradients are averaged over the processes
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    schedule.step()
    optimizer.zero_grad()
    loss = total.detach() / tokens
    dist.all_reduce(loss)
    losses.append(float(loss))
seconds = time.perf_counter() - begin
result = {"seconds": seconds, "losses": losses, "peaks": peaks()}
if rank == 0:
    Path(settings["output"]).mkdir(parents=True, exist_ok=True)
    Path(settings["output"], "result.json").write_text(json.dumps(result))
dist.destroy_process_group()
