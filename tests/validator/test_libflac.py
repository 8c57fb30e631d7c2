"""The system's libFLAC, where there is one, never changes a verdict or a sample."""

import io

import forge
import numpy as np
import pytest
import reject_cases
import soundfile

from validator import libflac
from validator.audio import AudioError, decode_flac
from validator.checks import from_error

needs_libflac = pytest.mark.skipif(libflac._library() is None, reason="needs the system's libFLAC")
FLACS = {
    "right": forge.audio(),
    "short": forge.audio(frames=17),
    "level_0": forge.audio(3),
    "silence": forge.flac(np.zeros(5000, np.int16), 24000),
    "extremes": forge.flac(np.tile(np.array([32767, -32768], np.int16), 3000), 24000),
    "tagged": forge.audio(5) + b"TAG" + bytes(125),
    "joined": forge.audio(5) + forge.audio(6),
    "hidden": reject_cases.forge.with_streaminfo(forge.audio(), total=11999),
    "lying": forge.with_streaminfo(forge.audio(), total=12001),
    "no_md5": forge.with_streaminfo(forge.audio(), md5=bytes(16)),
    "wrong_md5": forge.with_streaminfo(forge.audio(), md5=b"x" * 16),
    "cut": forge.audio()[:9000],
    "flipped": forge.audio()[:9000] + b"\0" + forge.audio()[9001:],
}


def outcome(data, channels=1, rate=24000):
    try:
        return decode_flac(data, rate=rate, channels=channels, max_frames=13000)
    except AudioError as error:
        return from_error("", error)


@needs_libflac
@pytest.mark.parametrize("name", FLACS)
def test_same_with_and_without(name, monkeypatch):
    quick = outcome(FLACS[name])
    monkeypatch.setattr(libflac, "_library", lambda: None)
    slow = outcome(FLACS[name])
    if isinstance(slow, np.ndarray):
        assert quick.dtype == slow.dtype == np.int16
        assert quick.shape == slow.shape
        np.testing.assert_array_equal(quick, slow)
    else:
        assert quick == slow


@needs_libflac
def test_it_is_really_used(monkeypatch):
    data, rate = forge.audio(), 24000
    monkeypatch.setattr("validator.audio._decode", lambda *_: pytest.fail("soundfile was asked"))
    np.testing.assert_array_equal(outcome(data), soundfile.read(io.BytesIO(data), dtype="int16")[0])
    assert rate == 24000


@needs_libflac
def test_stereo():
    pcm = forge.noise(1, 8000, 2)
    decoded = outcome(forge.flac(pcm, 32000), channels=2, rate=32000)
    assert decoded.flags.c_contiguous
    np.testing.assert_array_equal(decoded, pcm)


@needs_libflac
def test_an_interrupt_is_not_swallowed(monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(libflac.ctypes, "memmove", interrupted)
    with pytest.raises(KeyboardInterrupt):
        outcome(forge.audio())


def test_without_it_all_is_as_ever(monkeypatch):
    monkeypatch.setattr(libflac, "NAMES", ("libNothing.so.0",))
    libflac._library.cache_clear()
    try:
        assert libflac._library() is None
        np.testing.assert_array_equal(outcome(forge.audio()), forge.noise(0, forge.STEM_FRAMES))
    finally:
        libflac._library.cache_clear()
