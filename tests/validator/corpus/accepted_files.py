"""Unusual files that must be accepted, with exactly the warnings and notes that apply."""

from __future__ import annotations

import numpy as np

from tests.validator import forge
from tests.validator.corpus.registry import Corpus, changed, saved

CORPUS = Corpus()


@CORPUS.case()
def without_scale_files(dest):
    files = {name: data for name, data in forge.stems().items() if not name.endswith(".txt")}
    return saved(dest, forge.zip_bytes(files))


@CORPUS.case()
def scale_notations(dest):
    numbers = [
        b"1",
        b"1.",
        b".5",
        b"1e-3",
        b"2.5E+02",
        b"10000",
        b"0.5\n",
        b"0.5\r\n",
        b"+3.25",
        b"0." + b"3" * 60,
        b"1.5 ",
        b" \t1.5",
        b"1.5\n\n",
        b"\r\n 1.5\f\v",
    ]
    files = forge.stems()
    scales = [name for name in files if name.endswith(".txt")]
    files |= {name: numbers[i % len(numbers)] for i, name in enumerate(scales)}
    return saved(dest, forge.zip_bytes(files))


@CORPUS.case()
def lengths_within_two_samples(dest):
    files = changed(
        left_drums__flac=forge.audio(500, forge.STEM_FRAMES - 2),
        right_drums__flac=forge.audio(501, forge.STEM_FRAMES + 2),
        remix__flac=forge.audio(502, forge.REMIX_FRAMES + 1, 2, 32000),
    )
    return saved(dest, forge.zip_bytes(files))


@CORPUS.case()
def padding_and_tags(dest):
    blocks = (4, forge.comments(b"ARTIST=ann")), (1, bytes(8192))
    files = {
        n: forge.with_metadata(d, *blocks) if n.endswith(".flac") else d for n, d in forge.stems().items()
    }
    return saved(dest, forge.zip_bytes(files))


@CORPUS.case()
def id3_tag_after_the_audio(dest):
    files = changed(left_drums__flac=forge.audio(7) + b"TAG" + bytes(125))
    return saved(dest, forge.zip_bytes(files))


@CORPUS.case("silent")
def silent_stem(dest):
    silence = forge.flac(np.zeros(forge.STEM_FRAMES, np.int16), 24000)
    return saved(dest, forge.zip_bytes(changed(left_bass__flac=silence)))


@CORPUS.case("scale-missing")
def full_scale_without_scale_file(dest):
    pcm = forge.noise(3, forge.STEM_FRAMES).copy()
    pcm[77] = 32767
    return saved(dest, forge.zip_bytes(changed(left_bass__flac=forge.flac(pcm, 24000), left_bass__txt=None)))


@CORPUS.case("sides-equal")
def same_stem_on_both_sides(dest):
    files = forge.stems()
    left = forge.first("left_other.flac")
    files[left.replace("left", "right")] = files[left]
    return saved(dest, forge.zip_bytes(files))


@CORPUS.case("stems-identical")
def stem_copied(dest):
    files = forge.stems()
    files[forge.first("left_other.flac")] = files[forge.first("left_drums.flac")]
    return saved(dest, forge.zip_bytes(files))


@CORPUS.case("not-personal")
def same_audio_for_all_listeners(dest):
    files = forge.stems()
    for name in files:
        files[name] = files[name.replace("L6002", "L6001")]
    return saved(dest, forge.zip_bytes(files))


@CORPUS.case("remix-clipped")
def clipped_remix(dest):
    pcm = forge.noise(9, forge.REMIX_FRAMES, 2).copy()
    pcm[100:140, 0] = 32767
    pcm[500:540, 1] = -32768
    return saved(dest, forge.zip_bytes(changed(remix__flac=forge.flac(pcm, 32000))))


@CORPUS.case("remix-loud", "remix-clipped")
def remix_at_full_scale(dest):
    pcm = np.where(forge.noise(9, forge.REMIX_FRAMES, 2) > -6000, 32767, -32768).astype(np.int16)
    return saved(dest, forge.zip_bytes(changed(remix__flac=forge.flac(pcm, 32000))))


@CORPUS.case("remix-loud")
def remix_softly_limited(dest):
    """Like the challenge's recipe for loud music and a severe loss: tanh, saturated in places."""
    swing = np.sin(np.arange(forge.REMIX_FRAMES) / 40)[:, None] * [9.0, 8.0]
    pcm = np.clip(np.tanh(swing) * 32768, -32768, 32767).astype(np.int16)
    return saved(dest, forge.zip_bytes(changed(remix__flac=forge.flac(pcm, 32000))))


@CORPUS.case("remix-quiet")
def inaudible_remix(dest):
    pcm = (forge.noise(9, forge.REMIX_FRAMES, 2) // 4000).astype(np.int16)
    return saved(dest, forge.zip_bytes(changed(remix__flac=forge.flac(pcm, 32000))))
