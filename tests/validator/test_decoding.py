"""What the host decides about a FLAC file, what a decoder in a sandbox decides, and how the two meet."""

import dataclasses
import functools
import hashlib
import os
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest

from tests.validator import forge
from validator import validate
from validator.challenge.songs import Segment
from validator.findings.codes import CODES
from validator.formats.flac import (
    DECODING_CODES,
    AudioError,
    InProcessDecoder,
    check_md5,
    checked_header,
    decode_flac,
    decode_frames,
    decoding_error,
)
from validator.formats.pcm import little_endian

FLAC = forge.audio(5)
FORM = {"rate": 24000, "channels": 1, "bits": 16, "max_frames": forge.STEM_FRAMES}
BROKEN = {
    "flac-corrupt": FLAC[:5000] + bytes(500) + FLAC[5500:],
    "flac-truncated": FLAC[:-3],
    "flac-trailing": forge.with_streaminfo(FLAC, total=forge.STEM_FRAMES - 1),
}


def facts(error):
    return error.code, error.message, error.expected, error.found, error.frames


def test_the_parts_give_what_the_whole_gives():
    info = checked_header(FLAC, **FORM)
    pcm = decode_frames(FLAC, info)
    check_md5(little_endian(pcm), info)
    np.testing.assert_array_equal(pcm, decode_flac(FLAC, **FORM))
    np.testing.assert_array_equal(pcm, InProcessDecoder().decode(FLAC, **FORM))


@pytest.mark.parametrize("name", BROKEN)
def test_an_error_of_decoding_is_rebuilt_from_its_code_and_its_frames(name):
    info = checked_header(BROKEN[name], **FORM)
    with pytest.raises(AudioError) as caught:
        decode_frames(BROKEN[name], info)
    assert caught.value.code == name
    assert facts(decoding_error(name, info=info, frames=caught.value.frames)) == facts(caught.value)


def test_a_stream_that_contradicts_its_header_is_an_error_of_decoding():
    info = checked_header(FLAC, **FORM)
    stereo = forge.audio(5, channels=2)
    with pytest.raises(AudioError) as caught:
        decode_frames(stereo, info)
    assert facts(caught.value) == facts(decoding_error("flac-header", info=info, frames=None))


def test_every_code_of_decoding_has_an_explanation():
    assert set(CODES) >= DECODING_CODES


@pytest.mark.parametrize(
    ("code", "frames"),
    [
        ("flac-md5", None), ("missing", None), ("", None), ("flac-corrupt", None), ("flac-corrupt", -1),
        ("flac-corrupt", forge.STEM_FRAMES), ("flac-truncated", None), ("flac-truncated", 1 << 60),
        ("flac-trailing", 5), ("flac-header", 0),
    ],
)  # fmt: skip
def test_an_error_that_decoding_cannot_find_is_refused(code, frames):
    with pytest.raises(ValueError, match=r"frames|cannot find"):
        decoding_error(code, info=checked_header(FLAC, **FORM), frames=frames)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"RIFF" + bytes(50), "not-flac"),
        (FLAC[:41], "flac-header"),
        (forge.audio(rate=44100), "sample-rate"),
        (forge.audio(channels=2), "channels"),
        (forge.audio(subtype="PCM_24"), "bit-depth"),
        (forge.with_streaminfo(FLAC, total=0, md5=bytes(16)), "flac-unknown-length"),
        (forge.with_streaminfo(FLAC, md5=bytes(16)), "flac-no-md5"),
        (forge.audio(frames=forge.STEM_FRAMES + 1), "length"),
        (FLAC + bytes(3 << 20), "member-too-large"),
    ],
)
def test_the_header_is_checked_without_decoding(data, code, monkeypatch):
    monkeypatch.setattr("validator.formats.flac.decode_frames", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(AudioError) as caught:
        checked_header(data, **FORM)
    assert caught.value.code == code
    with pytest.raises(AudioError) as caught:
        decode_flac(data, **FORM)
    assert caught.value.code == code


def test_audio_that_is_not_that_of_the_md5_is_an_error():
    info = checked_header(FLAC, **FORM)
    other = decode_frames(FLAC, info).copy()
    other[77] ^= 1
    with pytest.raises(AudioError) as caught:
        check_md5(little_endian(other), info)
    assert caught.value.code == "flac-md5"


@pytest.mark.parametrize("quick", [True, False])
def test_files_without_md5_are_errors_with_a_hint(tmp_path, quick):
    files = {
        name: forge.with_streaminfo(data, md5=bytes(16)) if name.endswith(".flac") else data
        for name, data in forge.stems().items()
    }
    report = validate(forge.lay_out(files, tmp_path / "evaluation"), forge.CHALLENGE, quick=quick)
    assert {one.code for one in report.findings} == {"flac-no-md5"}
    assert len(report.findings) == 4 * 9
    assert not report.valid
    assert "soundfile.write" in report.findings[0].hint


def test_a_file_that_decoders_read_differently_is_one_clear_error_in_every_run(tmp_path):
    name, frames = forge.first("left_bass.flac"), 3 * 4095
    files = forge.stems() | {name: forge.silent_blocks()}
    folder = forge.lay_out(files, tmp_path / "evaluation")
    songs = tuple(
        dataclasses.replace(song, objective=Segment(0.0, frames / 24000)) for song in forge.CHALLENGE.songs
    )
    challenge = dataclasses.replace(forge.CHALLENGE, songs=songs)
    runs = [[one for one in validate(folder, challenge).findings if one.path == name] for _ in range(3)]
    assert runs[0] == runs[1] == runs[2]
    assert [(one.code, one.message) for one in runs[0]] == [
        ("flac-no-md5", "The FLAC header has no MD5 of the audio.")
    ]


def test_blocks_that_do_not_divide_into_their_partitions_are_damaged():
    md5 = hashlib.md5(bytes(2 * 3 * 4096)).digest()
    form = FORM | {"max_frames": 3 * 4096}
    assert not decode_flac(forge.silent_blocks(block=4096, md5=md5), **form).any()
    for _ in range(3):
        with pytest.raises(AudioError) as caught:
            decode_flac(forge.silent_blocks(block=4095, md5=md5), **form)
        assert caught.value.code == "flac-corrupt"


def test_no_hint_sends_an_organiser_to_decode_a_suspect_file():
    for code in CODES.values():
        assert not code.fix.startswith("Test"), code
        if "flac -t" in code.fix or "unzip -t" in code.fix:
            assert "its team" in code.fix, code


def test_decoding_needs_numpy_and_soundfile_only():
    program = (
        "import sys; from validator.formats.flac import checked_header, decode_frames\n"
        f"data = bytes.fromhex({FLAC.hex()!r})\n"
        "info = checked_header(data, rate=24000, channels=1, bits=16, max_frames=12000)\n"
        "assert len(decode_frames(data, info)) == 12000\n"
        "print(*sorted(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert {name for name in loaded if name.startswith("validator")} == {
        "validator", "validator.formats", "validator.formats.flac", "validator.formats.frames",
        "validator.formats.pcm", "validator.formats.streaminfo",
    }  # fmt: skip
    assert not loaded & {"pydantic", "harness", "scipy", "typer", "multiprocessing"}


class Counting(InProcessDecoder):
    """Leaves a mark for every file that it decodes."""

    def __init__(self, folder):
        self.folder = folder

    def decode(self, data, **form):
        (self.folder / f"decoded-{os.getpid()}-{len(list(self.folder.iterdir()))}").touch()
        return super().decode(data, **form)


@contextmanager
def counting_decoder(folder):
    """A decoder that shows when it is opened, used and closed."""
    yield Counting(folder)
    (folder / f"closed-{os.getpid()}").touch()


def marks(folder, kind):
    return sorted(path.name for path in folder.glob(f"{kind}-*"))


def test_validation_uses_the_decoder_that_it_is_given(tmp_path):
    folder, notes = forge.lay_out(forge.stems(), tmp_path / "evaluation"), tmp_path / "notes"
    notes.mkdir()
    decoder = functools.partial(counting_decoder, notes)
    assert validate(folder, forge.CHALLENGE, decoder=decoder).findings == ()
    assert len(marks(notes, "decoded")) == 4 * 9
    assert marks(notes, "closed") == [f"closed-{os.getpid()}"]


def test_a_quick_validation_opens_no_decoder(tmp_path):
    folder = forge.lay_out(forge.stems(), tmp_path / "evaluation")
    report = validate(folder, forge.CHALLENGE, quick=True, decoder=lambda: pytest.fail("it was opened"))
    assert report.findings == ()


def test_every_process_opens_and_closes_a_decoder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr("validator.validation.FEW_FILES", 0)
    folder, notes = forge.lay_out(forge.stems(), tmp_path / "evaluation"), tmp_path / "notes"
    notes.mkdir()
    decoder = functools.partial(counting_decoder, notes)
    report = validate(folder, forge.CHALLENGE, workers=2, decoder=decoder)
    assert report.findings == ()
    used = {name.split("-")[1] for name in marks(notes, "decoded")}
    assert used
    assert str(os.getpid()) not in used
    assert {name.split("-")[1] for name in marks(notes, "closed")} >= used


class BrokenSandboxError(Exception):
    """The machine's fault, not the submission's."""


@contextmanager
def broken_decoder():
    """A decoder that cannot be opened."""
    raise BrokenSandboxError("no sandbox here")
    yield


@pytest.mark.parametrize("workers", [1, 2])
def test_a_decoder_that_cannot_be_opened_is_no_finding(tmp_path, monkeypatch, workers):
    monkeypatch.setattr("validator.validation.FEW_FILES", 0)
    folder = forge.lay_out(forge.stems(), tmp_path / "evaluation")
    with pytest.raises(BrokenSandboxError, match="no sandbox here"):
        validate(folder, forge.CHALLENGE, workers=workers, decoder=broken_decoder)
