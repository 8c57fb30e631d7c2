"""Decoding with the system's libFLAC never changes a finding or a sample."""

import numpy as np
import pytest

from tests.validator import forge
from validator import validate
from validator.formats import libflac
from validator.formats.flac import AudioError, decode_flac
from validator.formats.streaminfo import parse

LIBRARY = libflac.load()
needs_libflac = pytest.mark.skipif(LIBRARY is None, reason="needs the system's libFLAC")

FLAC = forge.audio(5)
POINT = bytes(8) + bytes(8) + (4096).to_bytes(2, "big")
PICTURE = b"\0\0\0\3\0\0\0\x09image/png" + bytes(20) + b"\0\0\0\4abcd"
PADDED = forge.with_metadata(FLAC, (1, b""))
ACCEPTED = {
    "right": FLAC,
    "short": forge.audio(frames=17),
    "silence": forge.flac(np.zeros(5000, np.int16), 24000),
    "extremes": forge.flac(np.tile(np.array([32767, -32768], np.int16), 3000), 24000),
    "bare": forge.with_metadata(FLAC),
    "tagged": forge.with_metadata(
        FLAC, (4, forge.comments(b"ARTIST=ann", "TITEL=ä".encode())), (1, bytes(99))
    ),
    "seekable": forge.with_metadata(FLAC, (3, POINT), (4, forge.comments())),
}
NOT_ACCEPTED = {
    "trailing": FLAC + b"TAG" + bytes(125),
    "joined": FLAC + forge.audio(6),
    "hidden": forge.with_streaminfo(FLAC, total=11999),
    "lying": forge.with_streaminfo(FLAC, total=12001),
    "no_md5": forge.with_streaminfo(FLAC, md5=bytes(16)),
    "wrong_md5": forge.with_streaminfo(FLAC, md5=b"x" * 16),
    "cut": FLAC[:9000],
    "flipped": FLAC[:9000] + bytes([FLAC[9000] ^ 1]) + FLAC[9001:],
    "picture": forge.with_metadata(FLAC, (6, PICTURE)),
    "application": forge.with_metadata(FLAC, (2, b"abcd1234")),
    "half_a_point": forge.with_metadata(FLAC, (3, POINT[:9])),
    "junk_before_audio": PADDED[:46] + b"junk" + PADDED[46:],
    "no_audio": PADDED[:46],
    "endless_metadata": FLAC[:42],
    "comment_too_long": forge.with_metadata(FLAC, (4, forge.comments(b"A=b")[:-1])),
    # libFLAC decodes this one, and soundfile does not
    "comments_missing": forge.with_metadata(FLAC, (4, b"\0\0\0\0" + b"\0\0\x40\0")),
    "comments_uncounted": forge.with_metadata(FLAC, (4, b"\0\0")),
    "comment_left_over": forge.with_metadata(FLAC, (4, forge.comments(b"A=b") + b"x")),
    "comment_not_utf8": forge.with_metadata(FLAC, (4, forge.comments(b"A=\xff"))),
    "comment_without_name": forge.with_metadata(FLAC, (4, forge.comments(b"abc"))),
}  # fmt: skip


def by_soundfile(data, *, channels=1, rate=24000):
    try:
        return decode_flac(data, rate=rate, channels=channels, bits=16, max_frames=13000)
    except AudioError as error:
        return error.code


@pytest.fixture(scope="module")
def decoder():
    assert LIBRARY is not None
    return libflac.Decoder(LIBRARY)


@needs_libflac
@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted_files_have_the_samples_of_soundfile(decoder, name):
    decoded = decoder.decode(ACCEPTED[name], parse(ACCEPTED[name]))
    assert decoded.dtype == np.int16
    np.testing.assert_array_equal(decoded, by_soundfile(ACCEPTED[name]))


@needs_libflac
@pytest.mark.parametrize("name", NOT_ACCEPTED)
def test_other_files_are_left_to_soundfile(decoder, name):
    assert decoder.decode(NOT_ACCEPTED[name], parse(NOT_ACCEPTED[name])) is None
    np.testing.assert_array_equal(decoder.decode(FLAC, parse(FLAC)), forge.noise(5, forge.STEM_FRAMES))


@needs_libflac
def test_stereo(decoder):
    pcm = forge.noise(1, 8000, 2)
    data = forge.flac(pcm, 32000)
    np.testing.assert_array_equal(decoder.decode(data, parse(data)), pcm)


@needs_libflac
@pytest.mark.parametrize("callback", ["_write", "_read"])
def test_an_exception_in_a_callback_is_raised(decoder, monkeypatch, callback, capfd):
    def interrupt(*_):
        raise KeyboardInterrupt

    used = {"_write": (np, "frombuffer"), "_read": (libflac, "with_total")}
    with monkeypatch.context() as patched:
        patched.setattr(*used[callback], interrupt)
        with pytest.raises(KeyboardInterrupt):
            decoder.decode(FLAC, parse(FLAC))
    assert capfd.readouterr().err == ""
    assert decoder.decode(FLAC, parse(FLAC)) is not None


@needs_libflac
def test_validation_uses_libflac(tmp_path, monkeypatch):
    folder = forge.lay_out(forge.stems(), tmp_path / "evaluation")
    monkeypatch.setattr(
        "validator.formats.libflac.decode_flac", lambda *_, **__: pytest.fail("soundfile was used")
    )
    assert validate(folder, forge.CHALLENGE).findings == ()


def test_findings_are_the_same_without_libflac(tmp_path, monkeypatch):
    files = forge.stems()
    files[forge.first("left_bass.flac")] = NOT_ACCEPTED["cut"]
    folder = forge.lay_out(files, tmp_path / "evaluation")
    monkeypatch.setattr(libflac, "NAMES", ("libNothing.so.0",))
    libflac.load.cache_clear()
    try:
        assert libflac.load() is None
        without = validate(folder, forge.CHALLENGE)
    finally:
        monkeypatch.undo()
        libflac.load.cache_clear()
    assert [one.code for one in without.findings] == ["flac-truncated"]
    assert validate(folder, forge.CHALLENGE) == without
