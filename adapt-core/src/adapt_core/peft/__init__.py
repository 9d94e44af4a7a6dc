"""Adapt's own tuners in PEFT: importing this package lets ``PeftModel.from_pretrained`` load what they saved."""

from adapt_core.peft.bottleneck.config import BottleneckConfig
from adapt_core.peft.bottleneck.model import BottleneckModel
from adapt_core.peft.registration import register
from adapt_core.peft.ssf.config import SsfConfig
from adapt_core.peft.ssf.model import SsfModel

register("BOTTLENECK", BottleneckConfig, BottleneckModel, prefix="bottleneck_")
register("SSF", SsfConfig, SsfModel, prefix="ssf_")

__all__ = ["BottleneckConfig", "BottleneckModel", "SsfConfig", "SsfModel"]
