"""What the hand-written scripts share, which know nothing of Adapt: arguments of the Trainer, order of rows, time.

Rows come in an order that follows from seed and epoch alone, which is Adapt's too, so that what differs is not the luck
of the draw.
"""

import hashlib
import time

import torch
from torch.utils.data import Sampler


def usual_arguments(settings):
    """The Trainer's arguments that every script gives it, by what the script was told."""
    return {
        "output_dir": settings["output"],
        "per_device_train_batch_size": settings["batch_size"],
        "per_device_eval_batch_size": 2 * settings["batch_size"],
        "num_train_epochs": settings["epochs"],
        "learning_rate": settings["lr"],
        "seed": settings["seed"],
        "logging_steps": 10,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "optim": "adamw_torch",
    }


class Order(Sampler):
    """A permutation of so many rows that depends on the seed and the epoch alone."""

    epoch = 0

    def __init__(self, rows, seed):
        self.rows, self.seed = rows, seed

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __len__(self):
        return self.rows

    def __iter__(self):
        digest = hashlib.sha256(repr((self.seed, self.epoch)).encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:4], "big"))
        return iter(torch.randperm(self.rows, generator=generator).tolist())


def ordered(kind):
    """A class of Trainer that takes its rows in that order."""

    class Ordered(kind):
        def _get_train_sampler(self, train_dataset=None):
            return Order(len(self.train_dataset), self.args.seed)

    return Ordered


def seconds_of_training(trainer):
    """Trains, and gives the seconds of it."""
    begin = time.perf_counter()
    trainer.train()
    return time.perf_counter() - begin
