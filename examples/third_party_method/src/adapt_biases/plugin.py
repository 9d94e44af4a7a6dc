from adapt_core.hookspecs import hookimpl
from adapt_core.kinds import MethodSpec


@hookimpl
def adapt_methods():
    yield MethodSpec(
        name="biases",
        summary="Trains the biases only (Ben Zaken et al. 2021, arXiv:2106.10199).",
        target="adapt_biases.method:Biases",
        options="adapt_biases.options:BiasesOptions",
        head="beside",
        saves="adapter",
        learning_rate=1e-3,
    )
