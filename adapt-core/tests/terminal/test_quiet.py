"""What libraries say of themselves stays out of what a user reads, and can be heard again afterwards."""

from __future__ import annotations

import logging
import subprocess
import sys

from adapt_core.terminal.quiet import KERNELS, quiet_libraries

IMPORT = """
import logging
from adapt_core.terminal.quiet import KERNELS, quiet_libraries
with quiet_libraries():
    import peft.tuners.lora
    logging.getLogger(KERNELS).warning("install kernels")
"""
BEFORE = """
import sys
import adapt_core.pipeline.run
assert not [name for name in sys.modules if name.startswith(("peft", "bitsandbytes"))]
"""


def test_a_package_that_fetches_code_is_not_advertised() -> None:
    """bitsandbytes does when it is imported, which PEFT does, on a CPU that has a faster product of matrices."""
    done = subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True)
    assert "kernels" not in done.stderr


def test_nothing_imports_peft_before_a_run_is_quiet() -> None:
    subprocess.run([sys.executable, "-c", BEFORE], check=True)


def test_it_is_said_again_afterwards() -> None:
    logger = logging.getLogger(KERNELS)
    before = logger.level
    with quiet_libraries():
        assert not logger.isEnabledFor(logging.WARNING)
    assert logger.level == before
