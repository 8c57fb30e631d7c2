"""Scale files that must be rejected."""

from __future__ import annotations

from pathlib import Path

from tests.validator import forge
from tests.validator.corpus.registry import Corpus, replaced, zipped

CORPUS = Corpus()

for _name, _text in {
    "nan": b"nan",
    "capital_nan": b"NaN",
    "infinity": b"inf",
    "overflow": b"1e999",
    "zero": b"0.0",
    "underflow": b"1e-999",
    "negative": b"-1.5",
    "too_large": b"10000.1",
    "hexadecimal": b"0x1p3",
    "underscores": b"1_000",
    "comma": b"1,5",
    "two_numbers": b"1.5\n2.5",
    "space_within": b"1 .5",
    "no_break_space": "\u00a01.5".encode(),
    "empty": b"",
    "newline_only": b"\n",
    "words": b"about one",
    "too_long": b"1." + b"0" * 62,
    "byte_order_mark": b"\xef\xbb\xbf1.5",
    "utf16": "1.5".encode("utf-16"),
    "other_digits": "١٫٥".encode(),
    "full_width_digits": "１".encode(),
    "repr_of_an_array": b"[1.5]",
    "numpy_repr": b"np.float64(1.5)",
    "nul_after": b"1.5\0",
    "bare_exponent": b"e5",
    "bare_dot": b".",
}.items():

    def _make(dest: Path, text: bytes = _text) -> Path:
        return zipped(dest, replaced("left_drums.txt", text))

    _make.__name__ = f"scale_{_name}"
    CORPUS.case("scale-value")(_make)


@CORPUS.case("scale-value")
def scale_huge(dest):
    return zipped(dest, replaced("left_drums.txt", b"1" * 5000))


@CORPUS.case("scale-remix")
def scale_file_for_a_remix(dest):
    return zipped(dest, forge.stems() | {forge.first("remix.flac").replace(".flac", ".txt"): b"1.0"})
