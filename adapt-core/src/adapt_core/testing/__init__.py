"""Contract suites: what a plugin of each kind promises, as tests to inherit.

A method's::

    from adapt_core.testing import MethodContract

    class TestMyMethod(MethodContract):
        method = "my_method"
        options = {"rank": 2}
        works_on = ("encoder", "causal_lm")
"""

from adapt_core.testing.engine import EngineContract
from adapt_core.testing.launcher import LauncherContract
from adapt_core.testing.layers import LAYERS
from adapt_core.testing.method import MethodContract
from adapt_core.testing.models import MODELS, Tiny
from adapt_core.testing.quantizer import QuantizerContract
from adapt_core.testing.saver import SaverContract
from adapt_core.testing.task import TaskContract

__all__ = [
    "LAYERS",
    "MODELS",
    "EngineContract",
    "LauncherContract",
    "MethodContract",
    "QuantizerContract",
    "SaverContract",
    "TaskContract",
    "Tiny",
]
