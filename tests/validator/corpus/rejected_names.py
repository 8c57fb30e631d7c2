"""Missing, unexpected and misnamed files."""

from __future__ import annotations

import unicodedata

from tests.validator import forge
from tests.validator.corpus.registry import Corpus, one_renamed, renamed, saved, without, zipped

CORPUS = Corpus()


@CORPUS.case("missing")
def one_stem_missing(dest):
    return zipped(dest, without(forge.first("left_vocals.flac")))


@CORPUS.case("missing")
def listener_missing(dest):
    return zipped(dest, without("L6002/"))


@CORPUS.case("missing")
def song_missing(dest):
    return zipped(dest, without(forge.SONGS[1]))


@CORPUS.case("missing")
def example_missing(dest):
    return zipped(dest, without(f"L6001/{forge.SONGS[1]}/"))


@CORPUS.case("missing")
def one_stem_missing_everywhere(dest):
    return zipped(dest, without("_left_other.flac"))


@CORPUS.case("missing")
def right_side_missing(dest):
    return zipped(dest, without("_right_"))


@CORPUS.case("missing")
def remixes_missing(dest):
    return zipped(dest, without("_remix.flac"))


@CORPUS.case(missing=2)
def listener_and_a_stem_missing(dest):
    return zipped(dest, without("L6002/", forge.first("right_bass.flac")))


@CORPUS.case("missing")
def empty_zip(dest):
    return zipped(dest, {})


@CORPUS.case("missing")
def empty_folder(dest):
    (dest / "work").mkdir()
    return dest / "work"


@CORPUS.case("missing", unexpected=3)
def no_expected_file(dest):
    return zipped(
        dest, {"report.pdf": b"x", "code/main.py": b"x", "L9999/song/L9999_song_left_bass.flac": b"x"}
    )


@CORPUS.case("nested-folders")
def two_wrappers(dest):
    return saved(dest, forge.zip_bytes(forge.stems(), prefix="submission_E001/evaluation/"))


@CORPUS.case("unexpected")
def readme(dest):
    return zipped(dest, forge.stems() | {"README.md": b"# ours"})


@CORPUS.case("unexpected")
def scores_file_inside(dest):
    return zipped(dest, forge.stems() | {"L6001/scores.csv": b"song,listener"})


@CORPUS.case("unexpected")
def file_outside_the_wrapper(dest):
    files = {f"evaluation/{name}": data for name, data in forge.stems().items()}
    return zipped(dest, files | {"notes.txt": b"x"})


@CORPUS.case("unexpected")
def listener_of_another_split(dest):
    extra = {
        n.replace("L6001", "L5001"): d
        for n, d in forge.stems().items()
        if "L6001" in n and "Ann" in n and n.endswith("flac")
    }
    return zipped(dest, forge.stems() | extra)


@CORPUS.case("unexpected")
def copy_of_a_stem(dest):
    name = forge.first("left_drums.flac")
    return zipped(dest, forge.stems() | {name.replace(".flac", " (1).flac"): forge.stems()[name]})


@CORPUS.case("misnamed")
def capitals_everywhere(dest):
    return zipped(
        dest, {n.replace("_left_drums.flac", "_Left_Drums.flac"): d for n, d in forge.stems().items()}
    )


@CORPUS.case("misnamed")
def singular_stem_name(dest):
    return zipped(dest, one_renamed(lambda name: name.replace("left_drums", "left_drum")))


@CORPUS.case("misnamed")
def stem_before_side(dest):
    return zipped(dest, one_renamed(lambda name: name.replace("left_drums", "drums_left")))


@CORPUS.case("misnamed")
def side_as_one_letter(dest):
    return zipped(dest, one_renamed(lambda name: name.replace("left_drums", "L_drums")))


@CORPUS.case("misnamed")
def hyphens(dest):
    return zipped(dest, one_renamed(lambda name: name.replace("_left_drums", "-left-drums")))


@CORPUS.case("misnamed")
def wav_suffix(dest):
    return zipped(dest, one_renamed(lambda name: name.replace(".flac", ".wav")))


@CORPUS.case("misnamed")
def suffix_in_capitals(dest):
    return zipped(dest, one_renamed(lambda name: name.replace(".flac", ".FLAC")))


@CORPUS.case("misnamed")
def no_suffix(dest):
    return zipped(dest, one_renamed(lambda name: name.replace(".flac", "")))


@CORPUS.case("misnamed")
def other_listener_in_the_name(dest):
    return zipped(dest, one_renamed(lambda name: name.replace("/L6001_", "/L6002_")))


@CORPUS.case("misnamed")
def song_misspelt_in_the_name(dest):
    return zipped(dest, one_renamed(lambda name: name.replace("_Ann O'Nym", "_Ann ONim")))


@CORPUS.case("misnamed")
def song_misspelt_throughout(dest):
    return zipped(dest, renamed("Ann O'Nym & The Dots", "Ann O'Nym and The Dots"))


@CORPUS.case("misnamed")
def typographic_apostrophe(dest):
    return zipped(dest, renamed("Ann O'Nym", "Ann O’Nym"))


@CORPUS.case("misnamed")
def underscores_for_spaces(dest):
    return zipped(dest, {n.replace(" ", "_") if "Ann" in n else n: d for n, d in forge.stems().items()})


@CORPUS.case("misnamed")
def decomposed_unicode(dest):
    return saved(
        dest, forge.zip_bytes({unicodedata.normalize("NFD", n): d for n, d in forge.stems().items()})
    )


@CORPUS.case("misnamed")
def listener_folder_in_lower_case(dest):
    return zipped(dest, renamed("L6002/", "l6002/"))


@CORPUS.case("misnamed")
def in_the_wrong_folder(dest):
    return zipped(dest, one_renamed(lambda name: name.replace("L6001/", "L6002/", 1)))


@CORPUS.case("misnamed")
def without_the_song_folder(dest):
    song = forge.SONGS[0]
    return zipped(dest, {n.replace(f"L6001/{song}/", "L6001/"): d for n, d in forge.stems().items()})


@CORPUS.case("misnamed")
def scale_file_misnamed(dest):
    return zipped(dest, one_renamed(lambda name: name.replace("left", "LEFT"), "left_bass.txt"))


@CORPUS.case("misnamed")
def remix_as_mix(dest):
    return zipped(dest, one_renamed(lambda name: name.replace("remix", "mix"), "remix.flac"))
