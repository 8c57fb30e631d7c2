"""Makes submissions: the enhancement stage of the challenge.

`enhance` separates each song, amplifies the stems for each listener and packs the submission.
"""

from harness.enhance.loading import BUILT_IN, load_separator, needs_stems
from harness.enhance.separators import Separator
from harness.enhance.submission import Gain, Progress, enhance

__all__ = ["BUILT_IN", "Gain", "Progress", "Separator", "enhance", "load_separator", "needs_stems"]
