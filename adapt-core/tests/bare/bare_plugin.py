"""A third party's task with an engine of its own: bare PyTorch, no tokenizer, nothing of Hugging Face."""

from adapt_core.hookspecs import hookimpl
from adapt_core.kinds import EngineSpec, Library, TaskSpec

ENGINE = EngineSpec(
    name="bare",
    target="bare_engine:BareEngine",
    training="bare_options:BareOptions",
    test_inputs="bare_engine:inputs_of_a_tiny_model",
)


@hookimpl
def adapt_tasks():
    yield TaskSpec(
        name="shapes",
        summary="Tells which quarter of a picture is bright.",
        target="bare_task:Shapes",
        libraries=(Library(name="torch", engine=ENGINE),),
    )
