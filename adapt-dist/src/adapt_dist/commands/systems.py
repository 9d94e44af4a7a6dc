"""Writes the commands or the manifest of each system."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from adapt_core.plugins.installation import source, source_folder
from adapt_dist.commands.job import GRACE, Job

FIRST = '"$MASTER_ADDR"'
PACKAGES = ("adapt-core", "adapt-nlp", "adapt-vision", "adapt-quant", "adapt-dist")


def torchrun(job: Job) -> str:
    """One command for each machine."""
    lines = [
        "# The first machine's address, on every machine:",
        f"export MASTER_ADDR={shlex.quote(job.address) if job.address else '...'}",
        "",
    ]
    for number in range(job.nodes):
        lines += [f"# on machine {number}:", job.torchrun(str(number), FIRST), ""]
    return "\n".join(lines)


def slurm(job: Job) -> str:
    """A script for ``sbatch``: one task a machine, in which torchrun starts the processes.

    Two minutes before the time is up, Slurm sends SIGTERM, after which the run writes a checkpoint and ends.
    """
    command = job.torchrun('"$SLURM_NODEID"', FIRST, '"$MASTER_PORT"')
    gpus = [*job.assumption.splitlines(), f"#SBATCH --gpus-per-node={job.gpus}"] if job.gpus else []
    lines = [
        "#!/bin/bash",
        f"#SBATCH --job-name={job.name}",
        f"#SBATCH --nodes={job.nodes}",
        "#SBATCH --ntasks-per-node=1",
        *gpus,
        f"#SBATCH --signal=TERM@{GRACE}",
        "",
        'export MASTER_ADDR="$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)"',
        'export MASTER_PORT="$((20000 + SLURM_JOB_ID % 10000))"',
        "",
        f"srun --kill-on-bad-exit=1 bash -c {_single_quoted(command)}",
        "",
    ]
    return "\n".join(lines)


def kubernetes(job: Job) -> str:
    """A headless service and an indexed job, of which each pod is a machine; for ``kubectl apply -f``."""
    command = job.torchrun('"$JOB_COMPLETION_INDEX"', f"{job.name}-0.{job.name}")
    labels = {"job-name": job.name}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": job.name},
        "spec": {"clusterIP": "None", "selector": labels, "publishNotReadyAddresses": True},
    }
    container: dict[str, Any] = {
        "name": "adapt",
        "image": "IMAGE",
        "command": ["sh", "-c", f"exec {command}"],  # so that SIGTERM reaches torchrun, and not a shell around it
        "volumeMounts": [{"name": "shared", "mountPath": "/shared"}, {"name": "memory", "mountPath": "/dev/shm"}],
        "workingDir": "/shared",
    }
    if job.gpus:
        container["resources"] = {"limits": {"nvidia.com/gpu": job.gpus}}
    pod = {
        "subdomain": job.name,
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": GRACE,
        "containers": [container],
        "volumes": [
            {"name": "shared", "persistentVolumeClaim": {"claimName": "CLAIM"}},
            {"name": "memory", "emptyDir": {"medium": "Memory"}},
        ],
    }
    workload = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": job.name},
        "spec": {
            "completions": job.nodes,
            "parallelism": job.nodes,
            "completionMode": "Indexed",
            "backoffLimit": 0,
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
    head = (
        "# IMAGE: one with Adapt in it. CLAIM: a volume that all pods share (ReadWriteMany), with the data, the model\n"
        "# and the run's folder; paths in the configuration are relative to its root.\n"
    )
    return job.assumption + head + yaml.safe_dump_all([service, workload], sort_keys=False, width=1000)


def skypilot(job: Job) -> str:
    """A task for ``sky launch``."""
    processes = None if job.processes else '"$SKYPILOT_NUM_GPUS_PER_NODE"'
    first = '"$(echo "$SKYPILOT_NODE_IPS" | head -n 1)"'
    task: dict[str, Any] = {"name": job.name, "num_nodes": job.nodes}
    if job.gpus:
        task["resources"] = {"accelerators": f"H100:{job.gpus}"}
    folders = {name: str(folder) for name in PACKAGES if (folder := source_folder(name))}
    if folders:  # installed from this machine's folders: they go along
        task["file_mounts"] = {f"~/{name}": folder for name, folder in folders.items()}
    places = [f"~/{name}" if name in folders else shlex.quote(source(name)) for name in PACKAGES]
    task |= {
        "workdir": ".",
        "setup": f"pip install {' '.join(places)}\n",
        "run": job.torchrun('"$SKYPILOT_NODE_RANK"', first, processes=processes) + "\n",
    }
    head = (
        "# accelerators: the GPUs to rent. output_dir must lie on a bucket or a file system that all machines share\n"
        "# (file_mounts).\n"
    )
    return job.assumption + head + yaml.safe_dump(task, sort_keys=False, width=1000)


SYSTEMS: Mapping[str, Callable[[Job], str]] = {
    "torchrun": torchrun,
    "slurm": slurm,
    "kubernetes": kubernetes,
    "skypilot": skypilot,
}


def _single_quoted(command: str) -> str:
    return "'" + command.replace("'", "'\\''") + "'"
