"""A third party's task, as small as one can be: a label for a row of numbers."""

from adapt_core.engines.spec import TRAINER
from adapt_core.hookspecs import hookimpl
from adapt_core.kinds import Library, TaskSpec


@hookimpl
def adapt_tasks():
    yield TaskSpec(
        name="toy",
        summary="Labels rows of token ids.",
        target="toy_task:Toy",
        libraries=(Library(name="transformers", engine=TRAINER),),
    )
