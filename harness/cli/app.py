"""The entry point of `cad1` and its list of commands.

Answers go to standard output; progress, log and errors go to standard error.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from harness.cli import decisions, machine, scoring, standings, submissions, watching
from harness.cli.console import run


class GroupedCommands(TyperGroup):
    """Lists commands in help under the heading that each was registered with."""

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
                    [
                        (name.ljust(width), command.get_short_help_str(formatter.width - 6 - width))
                        for name, command in commands
                    ]
                )


app = typer.Typer(
    name="cad1",
    help="Validate, score and rank submissions to the First Cadenza Challenge (CAD1), Task 1.",
    cls=GroupedCommands,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
image_app = typer.Typer(help="Build or check the evaluator image", no_args_is_help=True)

COMMANDS: dict[str, dict[str, Callable[..., None]]] = {
    "Teams": {
        "validate": submissions.validate_command,
        "enhance": submissions.enhance_command,
        "demo": scoring.demo_command,
    },
    "Scoring": {
        "score": scoring.score_command,
        "watch": watching.watch_command,
        "rescore": watching.rescore_command,
        "regress": scoring.regress_command,
    },
    "Standings": {
        "status": standings.status_command,
        "submissions": decisions.submissions_command,
        "policy": decisions.policy_command,
        "select": decisions.select_command,
        "withdraw": decisions.withdraw_command,
        "rename": decisions.rename_command,
        "disqualify": standings.disqualify_command,
        "reinstate": standings.reinstate_command,
    },
    "Results": {
        "ranking": standings.ranking_command,
        "scores": standings.scores_command,
        "add-scores": standings.add_scores_command,
    },
    "Trust": {
        "export": standings.export_command,
        "verify": standings.verify_command,
        "backup": standings.backup_command,
    },
    "Machine": {"doctor": machine.doctor_command, "clean": machine.clean_command},
}
"""Every command by name, by heading in the help."""

for heading, commands in COMMANDS.items():
    for name, command in commands.items():
        app.command(name, rich_help_panel=heading)(command)
app.add_typer(image_app, name="image", rich_help_panel="Machine")
image_app.command("build")(machine.image_build_command)
image_app.command("verify")(machine.image_verify_command)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def cad1(arguments: Sequence[str] | None = None) -> int:
    """Runs a command in this process and returns its exit code; `sys.argv` gives the arguments if None."""
    return run(lambda: app(arguments, prog_name="cad1", standalone_mode=False))


def main() -> NoReturn:
    """The entry point of the script `cad1`."""
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(cad1())
