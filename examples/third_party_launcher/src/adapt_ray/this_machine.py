"""A Ray of one run's own, which talks to nothing outside this machine."""

import os
import signal
import sys
from contextlib import contextmanager

from adapt_core.errors import AdaptError

SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # It asks the addresses of clouds whether it runs there, also without statistics. Nothing answers at this one.
    "http_proxy": "http://127.0.0.1:9",
    # Without clusters, a machine's address is that of the loopback.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "GLOO_SOCKET_IFNAME": "lo0" if sys.platform == "darwin" else "lo",
    # Paths in a configuration are relative to the folder of the command.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",
    # By default a minute, in which a busy machine may not have imported torch.
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "600",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
    # It gives its workers a niceness of 15, with which they hardly compute beside anything else.
    "RAY_worker_niceness": "0",
    # It would end workers where other programs fill the memory.
    "RAY_memory_monitor_refresh_ms": "0",
}

ATTEMPTS = 3
"""Ray gives itself half a minute to start, and no setting for it; a busy machine may need longer."""


@contextmanager
def settings_made():
    """The environment variables of SETTINGS, for as long as the block lasts."""
    before = {name: os.environ.get(name) for name in SETTINGS}
    os.environ.update(SETTINGS)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


@contextmanager
def ray_here(processes, folder):
    """Ray for as long as the block lasts.

    Raises:
        AdaptError: it does not start.
    """
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with settings_made():
        import ray  # reads some of the settings

        try:
            for attempt in range(ATTEMPTS):
                try:
                    ray.init(
                        address="local",
                        num_cpus=processes,
                        include_dashboard=False,
                        log_to_driver=False,
                        logging_level="CRITICAL",
                        object_store_memory=100_000_000,  # nothing is put there
                        _node_ip_address="127.0.0.1",
                        _temp_dir=folder,
                    )
                    break
                # Broad: Ray raises a bare Exception where it does not start.
                except Exception as error:
                    ray.shutdown()
                    if attempt + 1 == ATTEMPTS:
                        raise AdaptError(f"Ray does not start: {error}") from error
            for number, handler in handlers.items():  # Ray has put its own there
                signal.signal(number, handler)
            yield
        finally:
            ray.shutdown()


@contextmanager
def asking_to_stop(file):
    """Within the block, the first Ctrl-C or SIGTERM leaves a file, and the second raises KeyboardInterrupt.

    Python drops what a handler raises in the middle of a callback, so that an interrupt alone might be lost.
    """

    def ask(*_):
        if file.exists():
            raise KeyboardInterrupt
        file.touch()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
