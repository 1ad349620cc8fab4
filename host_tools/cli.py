"""The `reverbere` command. Exit codes: 0 done and as expected, 1 done but not as expected, 2 the input is wrong."""

import typer

from .verbs import command, demo, keys, node, plan, sim, talk  # noqa: F401  (talk adds to node and plan)

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(plan.app, name="plan")
app.add_typer(sim.app, name="sim")
app.add_typer(node.app, name="node")
app.add_typer(keys.app, name="keys")
app.command()(command.command)
app.command()(command.listen)
app.command()(demo.demo)


@app.callback()
def _root() -> None:
    """Réverbère: an open controller for public lighting."""


def main() -> None:
    """Run the command line."""
    app()
