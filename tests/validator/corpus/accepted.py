"""Submissions that must be accepted, each with exactly the warnings and notes that it must give.

`python -m tests.validator.corpus.accepted DEST` writes them to a folder.
"""

from __future__ import annotations

from tests.validator.corpus import accepted_archives, accepted_files
from tests.validator.corpus.registry import Corpus

CORPUS = Corpus(accepted_archives.CORPUS, accepted_files.CORPUS)
CASES = CORPUS.cases

if __name__ == "__main__":
    CORPUS.main()
