"""The values of an example as the ledger stores them: a canonical JSON object of value by name."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from harness.ledger.log import canonical_json
from harness.protocol.errors import InternalError
from validator.challenge.rules import CAD1


def render_values(values: Mapping[str, float | None]) -> str:
    """The JSON of an example's values; every float keeps its bits.

    Args:
        values: HAAQI by name, None where the reference is silent.

    Raises:
        InternalError: They are not those of the challenge, or one is neither a finite float nor None.
    """
    if set(values) != set(CAD1.columns) or not all(map(_is_value, values.values())):
        raise InternalError(
            f"An example can't be stored with the values {dict(values)!r}; expected a number or None for each of "
            f"{', '.join(CAD1.columns)}.",
            hint="Please report it; the example was not stored.",
        )
    return canonical_json(values)


def parse_values(text: str) -> dict[str, float | None]:
    """The values of an example from their JSON, by name.

    Raises:
        ValueError: It is not a JSON object of finite floats and nulls.
    """
    values = json.loads(text)
    if not isinstance(values, dict) or not all(map(_is_value, values.values())):
        raise ValueError(f"the values of an example are {text[:80]!r}, not an object of numbers and nulls")
    return values


def _is_value(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isfinite(value))
