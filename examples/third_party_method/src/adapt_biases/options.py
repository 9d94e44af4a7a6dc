from adapt_core.options import Options, option


class BiasesOptions(Options):
    """Which biases are trained."""

    norms: bool = option(True, flat="BIASES_NORMS", help="Train the biases of normalisation layers too.")
