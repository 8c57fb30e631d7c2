"""FLAC files that must be rejected."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import soundfile

from tests.validator import forge
from tests.validator.corpus.registry import Corpus, replaced, zipped

CORPUS = Corpus()


def bad_file(end: str, code: str):
    """Register a case in which the file whose name ends with `end` has other contents."""

    def add(make: Callable[[], bytes]) -> None:
        def build(dest: Path) -> Path:
            return zipped(dest, replaced(end, make()))

        build.__name__ = make.__name__
        CORPUS.case(code)(build)

    return add


STEM, REMIX = "left_drums.flac", "remix.flac"


def as_format(name: str, rate: int = 24000) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, forge.noise(1, forge.STEM_FRAMES), rate, format=name)
    return buffer.getvalue()


@bad_file(STEM, "not-flac")
def wav_named_flac():
    return as_format("WAV")


@bad_file(STEM, "not-flac")
def aiff_named_flac():
    return as_format("AIFF")


@bad_file(STEM, "not-flac")
def ogg_named_flac():
    return as_format("OGG")


@bad_file(STEM, "not-flac")
def empty_flac():
    return b""


@bad_file(STEM, "not-flac")
def id3_before_flac():
    return b"ID3\4\0\0\0\0\0\0" + forge.audio()


@bad_file(STEM, "not-flac")
def zeros_named_flac():
    return bytes(20000)


@bad_file(STEM, "flac-header")
def magic_only():
    return b"fLaC"


@bad_file(STEM, "flac-header")
def header_cut_off():
    return forge.audio()[:41]


@bad_file(STEM, "flac-header")
def padding_first():
    data = forge.audio()
    return data[:4] + b"\1" + data[5:]


@bad_file(STEM, "flac-header")
def streaminfo_of_wrong_length():
    data = forge.audio()
    return data[:7] + b"\x23" + data[8:]


@bad_file(STEM, "flac-header")
def rate_zero():
    return forge.with_streaminfo(forge.audio(), rate=0)


@bad_file(STEM, "flac-header")
def three_bits():
    return forge.with_streaminfo(forge.audio(), bits=3)


@bad_file(STEM, "flac-header")
def block_size_zero():
    return forge.with_streaminfo(forge.audio(), min_block=0, max_block=0)


@bad_file(STEM, "flac-header")
def block_sizes_crossed():
    return forge.with_streaminfo(forge.audio(), min_block=8192, max_block=4096)


@bad_file(STEM, "sample-rate")
def rate_of_the_reference():
    return forge.audio(rate=44100)


@bad_file(STEM, "sample-rate")
def rate_of_the_remix():
    return forge.audio(rate=32000)


@bad_file(REMIX, "sample-rate")
def remix_at_the_rate_of_stems():
    return forge.audio(frames=forge.REMIX_FRAMES, channels=2)


@bad_file(STEM, "bit-depth")
def twenty_four_bits():
    return forge.audio(subtype="PCM_24")


@bad_file(STEM, "bit-depth")
def eight_bits():
    return forge.audio(subtype="PCM_S8")


@bad_file(STEM, "channels")
def stereo_stem():
    return forge.audio(channels=2)


@bad_file(REMIX, "channels")
def mono_remix():
    return forge.audio(frames=forge.REMIX_FRAMES, rate=32000)


@bad_file(STEM, "length")
def three_samples_short():
    return forge.audio(frames=forge.STEM_FRAMES - 3)


@bad_file(STEM, "length")
def three_samples_long():
    return forge.audio(frames=forge.STEM_FRAMES + 3)


@bad_file(STEM, "length")
def half_a_stem():
    return forge.audio(frames=forge.STEM_FRAMES // 2)


@bad_file(STEM, "length")
def a_whole_song():
    return forge.audio(frames=forge.STEM_FRAMES * 9)


@bad_file(REMIX, "length")
def remix_of_the_objective_segment():
    return forge.audio(frames=16000, channels=2, rate=32000)


@bad_file(STEM, "length")
def declares_the_longest_length():
    return forge.with_streaminfo(forge.audio(), total=(1 << 36) - 1)


@bad_file(STEM, "flac-unknown-length")
def declares_no_length():
    return forge.with_streaminfo(forge.audio(), total=0)


@bad_file(STEM, "flac-truncated")
def declares_one_more_than_there_is():
    return forge.with_streaminfo(forge.audio(), total=forge.STEM_FRAMES + 1)


@bad_file(STEM, "flac-trailing")
def audio_after_the_declared_length():
    return forge.with_streaminfo(forge.audio(frames=forge.STEM_FRAMES * 2), total=forge.STEM_FRAMES)


@bad_file(STEM, "flac-trailing")
def one_sample_after_the_declared_length():
    return forge.with_streaminfo(forge.audio(), total=forge.STEM_FRAMES - 1)


@bad_file(STEM, "flac-truncated")
def cut_in_half():
    data = forge.audio()
    return data[: len(data) // 2]


@bad_file(STEM, "flac-truncated")
def last_bytes_lost():
    return forge.audio()[:-3]


@bad_file(STEM, "flac-truncated")
def header_without_audio():
    return forge.audio()[:42]


@bad_file(STEM, "flac-corrupt")
def one_byte_flipped():
    data = bytearray(forge.audio(frames=forge.STEM_FRAMES))
    data[len(data) // 6] ^= 0xFF
    return bytes(data)


@bad_file(STEM, "flac-corrupt")
def bytes_removed():
    data = forge.audio()
    return data[:6000] + data[9000:]


@bad_file(STEM, "flac-corrupt")
def bytes_zeroed():
    data = forge.audio()
    return data[:5000] + bytes(500) + data[5500:]


@bad_file(STEM, "flac-md5")
def wrong_md5():
    return forge.with_streaminfo(forge.audio(), md5=b"\xaa" * 16)


@bad_file(STEM, "flac-md5")
def md5_of_other_audio():
    return forge.with_streaminfo(forge.audio(1), md5=forge.audio(2)[26:42])


@bad_file(STEM, "flac-no-md5")
def no_md5():
    return forge.with_streaminfo(forge.audio(), md5=bytes(16))


@bad_file(REMIX, "flac-no-md5")
def remix_without_md5():
    return forge.with_streaminfo(forge.audio(9, forge.REMIX_FRAMES, 2, 32000), md5=bytes(16))


@bad_file(STEM, "flac-unknown-length")
def neither_length_nor_md5():
    return forge.with_streaminfo(forge.audio(), total=0, md5=bytes(16))
