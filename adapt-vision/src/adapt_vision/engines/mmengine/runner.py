"""MMEngine's Runner, which writes its log into the run's folder and not over the terminal."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from mmengine.logging import MMLogger
from mmengine.logging.logger import MMFormatter
from mmengine.runner import Runner
from torch import nn

from adapt_vision.engines.mmengine.loop import Training


class FolderRunner(Runner):  # type: ignore[misc]  # MMEngine ships no types
    """A Runner whose log goes into its work folder alone, that of every process into a file of its own.

    Args:
        of_run: what the loop knows of its run.
        arguments: MMEngine's own.
    """

    def __init__(self, of_run: Training, **arguments: Any) -> None:
        self.of_run = of_run
        super().__init__(**arguments)

    def wrap_model(self, model_wrapper_cfg: Any, model: nn.Module) -> nn.Module:
        """The model as it is: on its device, and wrapped already where there are several processes."""
        return model

    def build_logger(self, log_level: int | str = "INFO", log_file: str | None = None, **kwargs: Any) -> MMLogger:
        """MMEngine's logger without what writes to the terminal."""
        logger: MMLogger = super().build_logger(log_level, log_file, **kwargs)
        for handler in list(logger.handlers):
            if not isinstance(handler, logging.FileHandler):
                logger.removeHandler(handler)
        if self.rank:  # MMEngine gives the main process alone a file, or names the others' after the machine
            own = logging.FileHandler(Path(self._log_dir) / f"{self.timestamp}-rank-{self.rank}.log")
            own.setFormatter(MMFormatter(color=False, datefmt="%Y/%m/%d %H:%M:%S"))
            logger.addHandler(own)
        return logger

    def close(self) -> None:
        """Gives back the files of the log."""
        for handler in list(self.logger.handlers):
            handler.close()
            self.logger.removeHandler(handler)
