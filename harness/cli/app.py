"""The entry point of `cad1` and its list of commands.

Answers go to standard output; progress, log and errors go to standard error.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

import typer
from typer.main import get_command

from harness.cli import decisions, haaqi, machine, scoring, standings, submissions, watching
from harness.cli.commands import Command, CommandGroup
from harness.cli.configuration import default_map
from harness.cli.console import run

app = typer.Typer(
    name="cad1",
    help="Validate, score and rank submissions to the First Cadenza Challenge (CAD1), Task 1.",
    cls=CommandGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
image_app = typer.Typer(help="Build or check the evaluator image", cls=CommandGroup, no_args_is_help=True)

COMMANDS: dict[str, dict[str, Callable[..., None]]] = {
    "Teams": {
        "validate": submissions.validate_command,
        "enhance": submissions.enhance_command,
        "haaqi": haaqi.haaqi_command,
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
        app.command(name, cls=Command, rich_help_panel=heading)(command)
app.add_typer(image_app, name="image", rich_help_panel="Machine")
image_app.command("build", cls=Command)(machine.image_build_command)
image_app.command("base", cls=Command)(machine.image_base_command)
image_app.command("verify", cls=Command)(machine.image_verify_command)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def cad1(arguments: Sequence[str] | None = None) -> int:
    """Runs a command in this process and returns its exit code; `sys.argv` gives the arguments if None."""

    def command() -> object:
        return app(
            arguments, prog_name="cad1", standalone_mode=False, default_map=default_map(get_command(app))
        )

    return run(command)


def main() -> NoReturn:
    """The entry point of the script `cad1`."""
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(cad1())
