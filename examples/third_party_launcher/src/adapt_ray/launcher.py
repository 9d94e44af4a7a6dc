"""Ray Train starts the processes of a run, and tells what became of them."""

import codecs
import os
import sys
import tempfile
import threading
from concurrent.futures import Future, wait
from pathlib import Path

import torch

from adapt_core.errors import AdaptError
from adapt_core.interfaces import Launcher
from adapt_core.plan.run_plan import RunPlan
from adapt_ray.options import RayOptions
from adapt_ray.this_machine import SETTINGS, asking_to_stop, ray_here


class RayTrain(Launcher):
    """Workers of Ray Train on this machine."""

    options: RayOptions

    @property
    def size(self):
        return self.options.num_processes

    def launch(self, function, plan):
        gpus = 0 if self.options.use_cpu else torch.cuda.device_count()
        if 0 < gpus < self.size:  # Ray would wait for more of them without end
            raise AdaptError(
                f"This machine has fewer GPUs ({gpus}) than the run has processes ({self.size})",
                f"Set launch.num_processes to {gpus} or less, or launch.use_cpu to true.",
            )
        # In /tmp, since Ray's sockets lie in it, whose paths must be short.
        with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as scratch:
            logs = new_logs(Path(plan.output_dir if isinstance(plan, RunPlan) else scratch, "logs"))
            own = {name: os.environ[name] for name in SETTINGS if name in os.environ}  # of the person's
            unused = self.options.find_unused_parameters
            job = {"function": function, "plan": plan, "unused": unused, "environment": own, "logs": str(logs)}
            job["stop"] = f"{scratch}/stop"  # made at Ctrl-C
            with ray_here(self.size, scratch):
                return self.followed(job, scratch, use_gpu=gpus > 0)

    def followed(self, job, scratch, use_gpu):
        """Starts the workers, shows what the main one prints, and returns what it returns.

        Raises:
            KeyboardInterrupt: a person has stopped the run for the second time.
            AdaptError: a worker failed, with its reason.
        """
        from ray.train import RunConfig, ScalingConfig, TrainingFailedError
        from ray.train.torch import TorchConfig, TorchTrainer

        from adapt_ray.worker import work

        trainer = TorchTrainer(
            work,
            train_loop_config=job,
            torch_config=TorchConfig(backend="cpu:gloo,cuda:nccl" if use_gpu else "gloo"),
            scaling_config=ScalingConfig(num_workers=self.size, use_gpu=use_gpu),
            run_config=RunConfig(name="train", storage_path=scratch),
        )
        done = Future()
        # In the main thread, Ray would end the run at Ctrl-C, without a checkpoint.
        threading.Thread(target=settle, args=(done, trainer.fit), daemon=True).start()
        streams = {"out": sys.stdout, "err": sys.stderr}
        shown = [Shown(Path(job["logs"], f"rank-0.{name}"), stream) for name, stream in streams.items()]
        with asking_to_stop(Path(job["stop"])):
            ended = False
            while not ended:
                ended = bool(wait([done], timeout=0.2).done)
                for each in shown:
                    each.show()
        try:
            return done.result().return_value
        except TrainingFailedError as error:
            raise reason(error, self.size, job["logs"]) from error


def reason(failed, size, logs):
    """The error of one of the workers that failed: of a lost one rather than of those that it left waiting.

    Of the whole, where Ray Train names no worker.
    """
    from ray.exceptions import RayError
    from ray.train.v2.api.exceptions import RayTrainError

    def lost(error):
        return isinstance(error, (RayError, RayTrainError))

    printed = f"What every process printed is in {logs}."
    failures = getattr(failed, "worker_failures", None)
    if not failures:
        return AdaptError(f"Ray Train failed: {failed}", printed)
    rank, error = min(failures.items(), key=lambda each: (not lost(each[1]), each[0]))
    if isinstance(error, AdaptError):
        return error
    what = "was lost" if lost(error) else f"failed: {type(error).__name__}: {error}"
    return AdaptError(f"Process {rank} of {size} {what}", printed)


def settle(future, function):
    try:
        future.set_result(function())
    # Broad: whatever it is, the main thread raises it; an exception of this thread would be lost.
    except BaseException as error:  # noqa: BLE001
        future.set_exception(error)


def new_logs(folder):
    """A folder for what the processes of this start print; those of earlier starts stay."""
    starts = [int(each.name) for each in folder.glob("*") if each.name.isdigit()]
    new = folder / str(max(starts, default=0) + 1)
    new.mkdir(parents=True)
    return new


class Shown:
    """A file whose growth is shown to the person at the terminal."""

    def __init__(self, file, stream):
        self.file, self.stream, self.position = file, stream, 0
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")  # a character may be written in part

    def show(self):
        if self.file.exists():
            with self.file.open("rb") as opened:
                opened.seek(self.position)
                new = opened.read()
            self.position += len(new)
            self.stream.write(self.decoder.decode(new))
            self.stream.flush()
