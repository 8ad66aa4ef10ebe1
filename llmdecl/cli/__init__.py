"""The command line: one verb a file, imported only when it is called.

Exit status: 0 done, 1 the spec or its world is wrong, 2 changes or drift found, 3 a step failed
while changing the world, 64 wrong usage, 130 interrupted.
"""

import sys
from collections.abc import Mapping
from importlib import import_module

import click

from llmdecl import __version__
from llmdecl.diagnostics import Failure

VERBS: Mapping[str, str] = {
    "check": "Say what is wrong with a spec.",
    "facts": "Record what is true here: processor, devices, engines, GGUF headers.",
    "lock": "Resolve and pin what the spec names.",
    "fetch": "Bring what the lock names into the store.",
    "build": "Build engines of source into the store.",
    "gc": "Remove from the store what no lock names.",
    "plan": "Show what apply would change, and why.",
    "apply": "Carry it out, wait for health, go back on failure.",
    "status": "Show models, their state and memory.",
    "start": "Start models and wait until they answer.",
    "stop": "Drain and stop models.",
    "restart": "Drain, stop and start models.",
    "logs": "Show a model's, the router's or supervisord's log.",
    "chat": "Talk to a model through the stack's endpoint.",
    "generations": "List what was applied.",
    "rollback": "Return to an earlier generation.",
    "down": "Stop everything.",
    "compile": "Write the artefacts into a folder; no state, no network.",
    "engine": "List engines, and run their tools: llama-bench, llama-quantize ...",
    "explain": "Say which rule produced each flag of a model, or what a code means.",
    "inspect": "Show a GGUF header.",
    "estimate": "Say what a llama-server command line would take, by device.",
    "fit": "Say what this machine can run: quantizations, contexts, placement, margin.",
    "schema": "Print the spec's JSON Schema, for editors.",
    "router": "Run the router (called by the manager).",
    "ready": "Wait for a model or a device (called by units).",
}
"""Every verb and its line in `--help`. The module `llmdecl.cli.VERB` has its `command`."""


class Verbs(click.Group):
    """Knows all verbs by name and loads the one that is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """In the order of a stack's life."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click's signature
        """Import the verb's module."""
        if cmd_name not in VERBS:
            return None
        command = import_module(f"llmdecl.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with the nearest verb in the error."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            near = get_close_matches(args[0], VERBS, n=1)
            if not near:
                raise
            text = f"{error.message} Did you mean `{near[0]}`?"
            raise click.UsageError(text, ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's signature
        """The table above: `--help` imports no verb."""
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="llmdecl")
def root() -> None:
    """One spec for a running, pinned, memory-proven local LLM stack.

    \b
    A first stack:
      llmdecl check    say what is wrong with llmdecl.toml
      llmdecl lock     pin engine and weights in llmdecl.lock
      llmdecl fetch    bring them here
      llmdecl plan     show what would change
      llmdecl apply    do it
    """  # noqa: D301  # click wants the character itself


def main(arguments: list[str] | None = None) -> None:
    """Run a verb; ends the process with its status and never with a traceback for bad input."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """The same, returning the exit status."""
    try:
        status = root.main(arguments, prog_name="llmdecl", standalone_mode=False)
    except click.UsageError as error:
        error.show()
        return 64
    except click.ClickException as error:
        error.show()
        return 1
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return 130
    except Failure as failure:
        from llmdecl.cli.views.diagnostics import show

        show(failure.diagnostics)
        return failure.status
    except BrokenPipeError:
        # the reader went away, as `head` does
        _drop_output()
        return 0
    except OSError as error:
        if not _is_output_lost():
            raise
        _drop_output()
        from llmdecl.cli.rules import OUTPUT_LOST
        from llmdecl.cli.views.diagnostics import show

        summary = f"what is printed can't be written: {error.strerror}"
        show([OUTPUT_LOST.at("standard output", summary)])
        return 1
    return status if isinstance(status, int) else 0


def _is_output_lost() -> bool:
    """Whether nobody takes what is printed; who does gets a line more before the traceback."""
    try:
        sys.stdout.write("\n")
        sys.stdout.flush()
    except OSError:
        return True
    return False


def _drop_output() -> None:
    """Python writes what is left on its way out, and would complain again."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
