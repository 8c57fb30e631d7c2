"""Which values of an example may be undefined: those whose reference is digitally silent.

The host reads the references itself. If it believed a sandbox about which values are undefined, a broken sandbox
could leave low values out of an average.
"""

from __future__ import annotations

from harness.protocol.errors import InternalError
from harness.protocol.records import ExampleScore
from validator.challenge.rules import CAD1


def check_values(line: ExampleScore, silent: frozenset[str]) -> None:
    """Checks that an example has the values of scores.csv, and that exactly those in `silent` are undefined.

    Raises:
        InternalError: It does not.
    """
    if set(line.values) != set(CAD1.columns):
        raise InternalError(
            f"{line.song} for {line.listener}: the evaluator sent the values {', '.join(sorted(line.values))}; "
            f"expected {', '.join(CAD1.columns)}.",
            hint="Nothing of this example was stored. Please report this.",
        )
    undefined = {name for name, value in line.values.items() if value is None}
    if undefined != silent:
        wrong = sorted(undefined ^ silent)
        missing = wrong[0] in undefined
        raise InternalError(
            f"{line.song} for {line.listener}: the evaluator sent {'no' if missing else 'a'} value for "
            f"{', '.join(wrong)}, whose reference is {'not ' if missing else ''}silent.",
            hint="Nothing of this example was stored. Please report this.",
        )
