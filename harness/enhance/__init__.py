"""The challenge's first stage: a submission out of songs.

`enhance` separates each song, amplifies the stems for each listener and packs what a team hands in.
"""

from harness.enhance.separators import BUILT_IN, Separator, load_separator
from harness.enhance.submission import Progress, enhance

__all__ = ["BUILT_IN", "Progress", "Separator", "enhance", "load_separator"]
