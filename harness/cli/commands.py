"""What every command has: the options -q, -v and --version, examples in its help, and a hint that names it."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from harness.cli.console import is_verbose, log, set_resumable, set_verbosity
from harness.cli.examples import EXAMPLES
from harness.protocol.errors import UsageError

SUMMARY = 200
"""Characters of a summary; a longer one would be cut off."""

RESUMABLE = frozenset({"score", "rescore", "watch", "enhance"})
"""Commands that continue where they stopped."""


def _be_quiet(value: bool) -> None:
    if value:
        set_verbosity(-1)


def _be_verbose(value: bool) -> None:
    if value:
        set_verbosity(1)


def _show_version(value: bool) -> None:
    if value:
        from harness.cli.installation import version_line

        typer.echo(version_line())
        raise typer.Exit


def _shared(
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet",
            "-q",
            callback=_be_quiet,
            is_eager=True,
            help="Print answers and errors only: no progress and no log.",
        ),
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose",
            "-v",
            callback=_be_verbose,
            is_eager=True,
            help="Also print the options that come from cad1.toml, and the details of errors.",
        ),
    ] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Declares the options that every command has."""


def _shared_options() -> list[Any]:
    """The options of `_shared`, as the command-line library has them."""
    declared = typer.Typer(add_completion=False)
    declared.command()(_shared)
    found: list[Any] = list(get_command(declared).params)
    for option in found:
        option.expose_value = False
    return found


SHARED_OPTIONS = _shared_options()


def _write_examples(context: Any, formatter: Any) -> None:
    """Writes the examples of a command below its options."""
    if lines := EXAMPLES.get(context.command_path.partition(" ")[2]):
        with formatter.section("Examples"):
            for line in lines:
                formatter.write(f"{' ' * formatter.current_indent}{line}\n")


class Command(TyperCommand):
    """A command with the shared options and its examples; wrong use names its help."""

    def get_params(self, ctx: Any) -> Any:
        """Its own parameters, the shared options, and --help."""
        *own, help_option = super().get_params(ctx)
        return [*own, *SHARED_OPTIONS, help_option]

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Writes the examples."""
        _write_examples(ctx, formatter)

    def invoke(self, ctx: Any) -> Any:
        """Runs the command; a usage error without a hint gets the command's help as its hint."""
        set_resumable(self.name in RESUMABLE)
        if is_verbose():
            for name, value in ctx.params.items():
                if getattr(ctx.get_parameter_source(name), "name", "") == "DEFAULT_MAP":
                    log(f"{name} = {value}, from cad1.toml")
        try:
            return super().invoke(ctx)
        except UsageError as error:
            if not error.hint:
                error.hint = f"`{ctx.command_path} --help` lists the arguments and options."
            raise


class CommandGroup(TyperGroup):
    """Lists commands in help under the heading that each was registered with."""

    def get_params(self, ctx: Any) -> Any:
        """Its own parameters, the shared options, and --help."""
        *own, help_option = super().get_params(ctx)
        return [*own, *SHARED_OPTIONS, help_option]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Writes a section per heading, in order of first appearance."""
        sections: dict[str, list[tuple[str, Any]]] = {}
        for name in self.list_commands(ctx):
            command: Any = self.get_command(ctx, name)
            sections.setdefault(command.rich_help_panel or "Commands", []).append((name, command))
        width = max(len(name) for name in self.list_commands(ctx))
        for heading, commands in sections.items():
            with formatter.section(heading):
                formatter.write_dl(
                    [(name.ljust(width), command.get_short_help_str(SUMMARY)) for name, command in commands]
                )

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Writes the examples."""
        _write_examples(ctx, formatter)
