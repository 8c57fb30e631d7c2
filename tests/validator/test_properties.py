"""Properties of every name, header, number and archive."""

import math
import unicodedata
import zipfile

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from tests.validator import forge
from validator.archive.members import find_wrapper, fold_name, is_junk, unsafe_reason
from validator.archive.submission import open_submission
from validator.archive.tarfiles import _pax
from validator.challenge.manifest import Kind, Length, expected_files, length_of
from validator.challenge.rules import CAD1
from validator.challenge.songs import Song
from validator.checks.filenames import check_names
from validator.checks.groups import REMIX, FileKey, grouped
from validator.formats import frames
from validator.formats.frames import has_later_frame
from validator.formats.scale import ScaleError, parse_scale
from validator.formats.streaminfo import StreamInfoError, parse

NAMES = [entry.path for entry in expected_files(forge.CHALLENGE)]
AUDIO = [entry.path for entry in expected_files(forge.CHALLENGE) if entry.kind is not Kind.SCALE]
UNIVERSE = [
    FileKey(listener, song, side, stem)
    for listener in ("L1", "L2", "L3")
    for song in ("A", "B")
    for side, stem in [*((side, stem) for side in CAD1.sides for stem in CAD1.stems), ("", REMIX)]
]
part = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=12)


@given(st.sets(st.sampled_from(UNIVERSE)))
def test_groups_cover_exactly_the_affected_files(affected):
    held = set()
    for group in grouped(affected, UNIVERSE):
        shared = (group.listener, group.song, group.side, group.stem)
        inside = {
            key
            for key in UNIVERSE
            if all(not own or own == has for own, has in zip(shared, key, strict=True))
        }
        assert inside == {key for key in UNIVERSE if key in group}
        assert len(inside) == group.count
        assert inside <= affected
        held |= inside
    assert held == affected


@given(
    st.sampled_from(AUDIO),
    st.sampled_from(
        [
            str.upper,
            str.title,
            str.swapcase,
            lambda t: unicodedata.normalize("NFD", t),
            lambda t: t.replace(" ", "_"),
            lambda t: t.replace(" - ", "-"),
            lambda t: t.replace("_", "-"),
        ]
    ),
)
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_a_misspelled_name_is_recognised(path, change):
    folder, _, name = path.rpartition("/")
    other = f"{folder}/{change(name)}"
    assume(other != path)
    _, findings = check_names([one for one in NAMES if one != path] + [other], forge.CHALLENGE)
    assert [finding.code for finding in findings] == ["misnamed"]
    assert findings[0].expected == path


@given(st.lists(st.sampled_from(NAMES), unique=True), st.lists(part, max_size=4))
@settings(deadline=None)
def test_every_file_is_accounted_for(names, more):
    present, findings = check_names([*names, *more], forge.CHALLENGE)
    assert {entry.path for entry in present} <= {*names, *more}
    unknown = {
        finding.path for finding in findings if finding.code in ("unexpected", "misnamed", "scale-remix")
    }
    assert len(unknown) <= len(set(more) - set(names)) + len(names)
    wanted = [path for path in AUDIO if path not in names]
    assert bool(wanted) == any(finding.code in ("missing", "misnamed") for finding in findings)


@given(st.binary(min_size=0, max_size=80))
def test_any_header_is_parsed_or_rejected(data):
    if data[:4] != b"fLaC" or len(data) < 42:
        with pytest.raises(StreamInfoError) as caught:
            parse(data)
        assert caught.value.code == ("flac-header" if data[:4] == b"fLaC" else "not-flac")
        return
    try:
        info = parse(data)
    except StreamInfoError:
        return
    assert 0 < info.sample_rate < 1 << 20


@given(
    rate=st.integers(1, (1 << 20) - 1), channels=st.integers(1, 8), bits=st.integers(4, 32),
    total=st.integers(0, (1 << 36) - 1), md5=st.binary(min_size=16, max_size=16),
)  # fmt: skip
def test_header_is_read_as_written(rate, channels, bits, total, md5):
    fields = {"rate": rate, "channels": channels, "bits": bits, "total": total, "md5": md5}
    info = parse(forge.with_streaminfo(forge.audio(), **fields))
    assert (info.sample_rate, info.channels, info.bits_per_sample, info.total_samples, info.md5) == tuple(
        fields.values()
    )
    assert info.has_md5 == any(md5)


@given(st.floats(min_value=1e-300, max_value=10000))
@example(1.0)
@example(10000.0)
@example(5e-324)
def test_every_float_that_python_writes_is_a_scale(value):
    assert parse_scale(repr(value).encode()) == value
    assert parse_scale(f"{value!r}\n".encode()) == value


@given(st.one_of(st.binary(max_size=80), st.text(max_size=70).map(str.encode)))
@example(b"1_0")
@example(b"0x1p3")
@example("１".encode())
def test_scale_equals_float_or_is_rejected(data):
    try:
        value = parse_scale(data)
    except ScaleError:
        return
    assert value == float(data)
    assert 0 < value <= 10000
    assert math.isfinite(value)


@given(st.lists(part.filter(lambda text: not set(text) & set("/\\")), min_size=1, max_size=4))
def test_safe_names_stay_inside(parts):
    name = "/".join(parts)
    if not unsafe_reason(name):
        assert ".." not in name.split("/")
        assert not name.startswith("/")
        assert name[1:2] != ":" or not name[0].isascii() or not name[0].isalpha()


@given(part)
def test_folding_ignores_case_and_form(text):
    assert fold_name(unicodedata.normalize("NFD", text)) == fold_name(unicodedata.normalize("NFC", text))
    assert fold_name(fold_name(text)) == fold_name(text)


@given(
    st.lists(part.filter(lambda text: "/" not in text), max_size=3),
    st.sets(st.sampled_from(NAMES), min_size=1),
)
def test_wrapper_of_any_depth_is_found(above, names):
    prefix = "".join(f"{one}/" for one in above)
    assert find_wrapper([prefix + name for name in names]) == tuple(above)


files = st.dictionaries(
    st.lists(
        part.filter(lambda text: not unsafe_reason(text) and "/" not in text), min_size=1, max_size=3
    ).map("/".join),
    st.binary(max_size=3000),
    max_size=6,
)


def _clash(contents) -> bool:
    keys = [fold_name(name) for name in contents]
    return len(set(keys)) < len(keys)


@given(files, st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]), st.binary(max_size=30))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
def test_zips_of_the_standard_library_are_read_back(tmp_path, contents, method, comment):
    assume(not _clash(contents))
    path = tmp_path / "one.zip"
    path.write_bytes(forge.zip_bytes(contents, method=method, comment=comment))
    with open_submission(path) as submission:
        whole = {
            member.path: submission.read(name, limit=4000) for name, member in submission.members.items()
        }
        assert not [finding for finding in submission.problems if finding.code != "nested-folders"]
    skipped = set(contents) - set(whole)
    assert whole == {name: contents[name] for name in whole}
    assert all(map(is_junk, skipped))


@given(files, st.sampled_from([0, 1, 2]), st.sampled_from(["w", "w:gz"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
def test_tars_of_the_standard_library_are_read_back(tmp_path, contents, form, mode):
    assume(not _clash(contents))
    assume(form != 0 or all(len(name.encode()) < 90 for name in contents))
    assume(contents)
    path = tmp_path / "one.tar"
    path.write_bytes(forge.tar_bytes(contents, mode=mode, form=form))
    with open_submission(path) as submission:
        whole = {
            member.path: submission.read(name, limit=4000) for name, member in submission.members.items()
        }
        assert not [finding for finding in submission.problems if finding.code != "nested-folders"]
    assert whole == {name: contents[name] for name in whole}


@pytest.mark.parametrize("song", forge.CHALLENGE.songs)
def test_lengths_allow_two_samples(song):
    for kind, count in ((Kind.STEM, forge.STEM_FRAMES), (Kind.REMIX, forge.REMIX_FRAMES)):
        length = length_of(song, kind)
        assert [delta for delta in range(-4, 5) if count + delta in length] == [-2, -1, 0, 1, 2]


def test_whole_songs_may_carry_the_tail_of_the_filter():
    song = Song("x", frames=441000)
    assert length_of(song, Kind.STEM) == Length(240000, 239998, 240000 + 120 + 2)
    assert length_of(song, Kind.REMIX) == Length(320000, 319998, 320000 + 160 + 2)


@given(st.binary(max_size=300), st.integers(0, 5000), st.integers(1, 5000))
def test_searching_frames_in_any_bytes_ends(data, done, declared):
    assert has_later_frame(data, done=done, declared=declared, block=16) in (True, False)


def test_every_frame_of_a_flac_is_found():
    data = forge.audio(frames=24000)
    assert has_later_frame(data, done=0, declared=24000, block=4096)
    assert not has_later_frame(data, done=24000 - 4096, declared=24000, block=4096)


def test_searching_frames_gives_up_after_too_many_candidates(monkeypatch):
    tried: list[bytes] = []
    monkeypatch.setattr(frames, "_header", tried.append)
    assert has_later_frame(b"\xff\xf8" * 100_000, done=0, declared=24000, block=4096)
    assert len(tried) == frames.CANDIDATES


def test_frames_are_found_across_search_windows(monkeypatch):
    data = forge.audio(frames=24000)
    for stretch in (1, 2, 17, 4096):
        monkeypatch.setattr(frames, "_STRETCH", stretch)
        assert has_later_frame(data, done=0, declared=24000, block=4096)
        assert not has_later_frame(data, done=24000 - 4096, declared=24000, block=4096)


def test_only_the_needed_records_of_an_extended_header_are_kept():
    records = b"".join(b"%d k%d=\n" % (len(b"%d" % i) + 6, i) for i in range(1000, 1900))
    records += b"10 path=x\n" + b"22 GNU.sparse.major=1\n" + b"9 size=7\n"
    assert _pax(records) == {"path": "x", "sparse": "1", "size": "7"}


SANDBOXED = (
    "archive.submission",
    "challenge.challenge",
    "challenge.manifest",
    "formats.flac",
    "formats.scale",
)
"""What the evaluator imports."""


def test_the_modules_of_the_sandbox_import_few_others():
    import subprocess
    import sys

    lines = [f"import validator.{name}" for name in SANDBOXED]
    lines.append("import sys; print(*sorted(sys.modules))")
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert not loaded & {"pandas", "rich", "scipy", "numba", "soxr", "docker", "harness", "typer"}
    own = {name.removeprefix("validator.") for name in loaded if name.startswith("validator.")}
    packages = {"archive", "challenge", "findings", "formats"}
    assert {name.split(".")[0] for name in own} == packages
    assert own - packages == {
        *SANDBOXED, "archive.folder", "archive.members", "archive.sealed", "archive.sizes", "archive.tarfiles",
        "archive.zipdirectory", "archive.zipfiles", "challenge.listeners", "challenge.loading",
        "challenge.metadata", "challenge.references", "challenge.rules", "challenge.songs",
        "findings.codes", "findings.finding", "findings.text", "findings.wording", "formats.frames",
        "formats.pcm", "formats.streaminfo",
    }  # fmt: skip


PUBLIC = [
    "Challenge", "ChallengeError", "Finding", "Report", "Severity", "SubmissionChangedError",
    "SubmissionNotFound", "validate",
]  # fmt: skip


def test_public_names():
    import validator

    assert dir(validator) == PUBLIC
    for name in PUBLIC:
        assert getattr(validator, name)
    with pytest.raises(AttributeError, match="nothing"):
        _ = validator.nothing
