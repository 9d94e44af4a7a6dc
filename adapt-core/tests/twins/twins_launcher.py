"""Starts the two processes, hands signals on to them, and returns what the main one does."""

import multiprocessing
import os
import signal
import socket

import torch.distributed as dist

from adapt_core.interfaces import Launcher, World

SIZE = 2


class TwinWorld(World):
    def __init__(self, rank):
        self.rank = self.local_rank = rank
        self.size = SIZE

    def barrier(self):
        dist.barrier()

    def gather(self, value):
        found = [None] * SIZE
        dist.all_gather_object(found, value)
        return found

    def describe(self):
        return {"processes": SIZE, "backend": "gloo"}


class Twins(Launcher):
    size = SIZE

    def launch(self, function, plan):
        context = multiprocessing.get_context("spawn")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        answers = context.Queue()
        processes = [context.Process(target=work, args=(function, plan, rank, port, answers)) for rank in range(SIZE)]
        for process in processes:
            process.start()
        while any(process.is_alive() for process in processes) and answers.empty():
            try:
                processes[0].join(0.2)
            except KeyboardInterrupt:
                for process in processes:
                    os.kill(process.pid, signal.SIGTERM)
        kind, value = answers.get()
        for process in processes:
            process.join()
        if kind == "error":
            raise value
        return value


def work(function, plan, rank, port, answers):
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.environ |= {**address, "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(SIZE)}
    dist.init_process_group("gloo")
    try:
        found = ("result", function(plan, TwinWorld(rank)))
    except BaseException as error:  # noqa: BLE001  # raised again in the parent
        found = ("error", error)
    if rank == 0:
        answers.put(found)
    dist.destroy_process_group()
