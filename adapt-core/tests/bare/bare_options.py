"""How the bare engine trains: with stochastic gradient descent, at a rate that stays."""

from adapt_core.config import TrainingOptions
from adapt_core.options import option


class BareOptions(TrainingOptions):
    momentum: float = option(0.9, ge=0, lt=1, help="Momentum of the gradient descent.")
