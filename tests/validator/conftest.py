"""The corpora and the forge are plain modules beside the tests; this lets them be imported by name."""

import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent
for place in (_HERE, _HERE.parent / "accept", _HERE.parent / "reject"):
    sys.path.insert(0, str(place))
