"""Examples for the help of each command, by the command's name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

EXAMPLES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "": (
            "cad1 validate submission_E001.zip --split test",
            "cad1 score submission_E001.zip --data ROOT --team E001",
            "cad1 ranking",
        ),
        "validate": (
            "cad1 validate submission_E001.zip --split test",
            "cad1 validate submission_E001.zip --data ROOT --split test",
            "cad1 validate submission_E001/ --split test --quick",
        ),
        "enhance": (
            "cad1 enhance --data ROOT --separator mixture --output out --team E001",
            "cad1 enhance --data ROOT --separator mypackage.model:separate \\",
            "    --output out --team E001",
        ),
        "haaqi": (
            "cad1 haaqi drums.wav E001_drums.flac --audiogram 20,30,35,45,50,60",
            "cad1 haaqi song.wav out.wav --channel left \\",
            "    --audiogram 20,30,35,45,50,60 --level 80 --json",
        ),
        "demo": ("cad1 demo", "cad1 demo --keep demo --sandbox process"),
        "score": (
            "cad1 score submission_E001.zip --data ROOT --team E001",
            "cad1 score submission_E001.zip --data ROOT --team E001 --workers 8",
            "cad1 score submission_E001.zip --data ROOT --team E001 \\",
            '    --sandbox bubblewrap --song "Leaf - Wicked" --listener L5040',
        ),
        "watch": ("cad1 watch INBOX --data ROOT --workers 4",),
        "rescore": ("cad1 rescore --data ROOT --keep kept",),
        "submissions": ("cad1 submissions", "cad1 submissions E001"),
        "policy": ("cad1 policy --split test --counts best --deadline 2026-12-01T23:59:59Z",),
        "select": ('cad1 select E001 SHA256 --reason "the team asked for it"',),
        "withdraw": ('cad1 withdraw E001 SHA256 --reason "the team withdrew it"',),
        "rename": ('cad1 rename E0O1 E001 --reason "mistyped"',),
        "backup": ("cad1 backup submissions.backup",),
        "regress": ("cad1 regress", "cad1 regress --data ROOT --keep baselines"),
        "status": ("cad1 status", "cad1 status E001", "cad1 status --watch"),
        "disqualify": ('cad1 disqualify E001 --reason "trained on the test songs"',),
        "reinstate": ('cad1 reinstate E001 --reason "the songs were not in it"',),
        "ranking": (
            "cad1 ranking",
            "cad1 ranking --split test --format markdown --output ranking.md",
        ),
        "scores": ("cad1 scores E001 --output scores.csv",),
        "add-scores": (
            "cad1 add-scores E001 scores.csv --split valid",
            "cad1 add-scores E001 scores_*-8.csv --split valid",
        ),
        "export": ("cad1 export E001 --output E001.cad1.zip --sign key.pem",),
        "verify": (
            "cad1 verify",
            "cad1 verify --head HASH",
            "cad1 verify E001.cad1.zip --key key.pub.pem",
        ),
        "image": ("cad1 image build", "cad1 image verify"),
        "image build": ("cad1 image build", "cad1 image build --base-image cad1-base:bookworm"),
        "image verify": ("cad1 image verify", "cad1 image verify --image sha256:ID"),
        "image base": ("cad1 image base", "cad1 image base --tag cad1-base:bookworm"),
        "doctor": ("cad1 doctor", "cad1 doctor --store submissions"),
        "clean": ("cad1 clean", "cad1 clean --images"),
    }
)
"""By the words after `cad1`; a line that ends in a backslash continues on the next."""
