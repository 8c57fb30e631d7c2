"""The command `cad1`: its verbs, and the way in.

Standard output carries the answer, standard error the progress and the log.
"""

from __future__ import annotations

import signal
import sys
from typing import NoReturn

import typer

from harness.cli import machine, scoring, standings, submissions
from harness.cli.console import run

app = typer.Typer(
    name="cad1",
    help="Validates, scores and ranks submissions to the First Cadenza Challenge (CAD1), Task 1.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
image_app = typer.Typer(help="The evaluator image.", no_args_is_help=True)
app.add_typer(image_app, name="image")

for verb, command in (
    ("validate", submissions.validate_command),
    ("enhance", submissions.enhance_command),
    ("score", scoring.score_command),
    ("status", standings.status_command),
    ("ranking", standings.ranking_command),
    ("scores", standings.scores_command),
    ("add-scores", standings.add_scores_command),
    ("disqualify", standings.disqualify_command),
    ("export", standings.export_command),
    ("verify", standings.verify_command),
    ("regress", scoring.regress_command),
    ("demo", scoring.demo_command),
    ("doctor", machine.doctor_command),
    ("clean", machine.clean_command),
):
    app.command(verb)(command)
image_app.command("build")(machine.image_build_command)
image_app.command("verify")(machine.image_verify_command)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def main() -> NoReturn:
    """The entry point of `cad1`."""
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(run(lambda: app(standalone_mode=False)))
