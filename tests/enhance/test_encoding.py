from __future__ import annotations

import numpy as np
import pytest
import soundfile

from harness.enhance.encoding import encode_remix, encode_stem, to_pcm, write_flac


def tone(seconds=0.5, level=0.3):
    return level * np.sin(2 * np.pi * 440 * np.arange(int(44100 * seconds)) / 44100)


def test_pcm_is_clipped_and_rounded_towards_zero():
    signal = np.array([0.0, 1.0, -1.0, 2.0, -2.0, 1.9 / 32768, -1.9 / 32768])
    assert to_pcm(signal).tolist() == [0, 32767, -32768, 32767, -32768, 1, -1]


def test_stem_is_normalised_and_restored_by_its_scale():
    loud = tone(level=3.0)
    stem = encode_stem(loud)
    assert len(stem.pcm) == 12000
    assert max(abs(int(stem.pcm.max())), abs(int(stem.pcm.min()))) >= 32767
    assert stem.scale == pytest.approx(3.0, rel=1e-2)
    assert float(stem.scale_text) == stem.scale
    restored = stem.pcm[2000:10000] / 32768 * stem.scale
    expected = 3.0 * np.sin(2 * np.pi * 440 * np.arange(2000, 10000) / 24000)
    np.testing.assert_allclose(restored, expected, atol=3e-3)


def test_silent_stem_stays_silent_with_a_positive_scale():
    stem = encode_stem(np.zeros(4410))
    assert not stem.pcm.any()
    assert stem.scale_text == "1.0"


def test_remix_is_soft_limited():
    remix = encode_remix(tone(level=3.0))
    assert len(remix) == 16000
    assert np.max(np.abs(remix[1000:-1000] / 32768)) == pytest.approx(np.tanh(3.0), abs=1e-3)


def test_flac_has_the_same_bytes_each_time(tmp_path):
    pcm = to_pcm(np.stack((tone(), tone(level=0.1)), axis=1))
    for name in ("first.flac", "second.flac"):
        write_flac(tmp_path / name, pcm, sample_rate=32000)
    assert (tmp_path / "first.flac").read_bytes() == (tmp_path / "second.flac").read_bytes()
    info = soundfile.info(tmp_path / "first.flac")
    assert (info.format, info.subtype, info.channels, info.samplerate) == ("FLAC", "PCM_16", 2, 32000)
    decoded, _ = soundfile.read(tmp_path / "first.flac", dtype="int16")
    np.testing.assert_array_equal(decoded, pcm)


def test_a_missing_folder_is_an_oserror(tmp_path):
    with pytest.raises(OSError, match="missing"):
        write_flac(tmp_path / "missing" / "x.flac", np.zeros(10, dtype=np.int16), sample_rate=24000)
