"""The decoder: real files through a real sandbox, and hostile decoders, which can change no sample."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable

import numpy as np
import psutil
import pytest
import soundfile
from numpy.typing import NDArray

from harness.protocol.errors import DeadlineError, InternalError, MemoryLimitError
from harness.protocol.lock import Lock
from harness.sandbox import decoding
from harness.sandbox.contract import Sandbox, Stopped
from harness.sandbox.decoding import SandboxedDecoder
from harness.sandbox.local.process import ProcessSandbox
from tests.sandbox.imposters import DECODER
from validator.formats import known
from validator.formats.flac import AudioError, decode_flac

MakeSandbox = Callable[..., Sandbox]
SANDBOXES = [pytest.param("docker", marks=pytest.mark.docker), "bubblewrap", "process"]


def flac_of(pcm: NDArray[np.int16], *, rate: int = 24000) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, pcm, rate, format="FLAC", subtype="PCM_16")
    return stream.getvalue()


def noise(seed: int = 1, frames: int = 30_000) -> NDArray[np.int16]:
    return np.random.default_rng(seed).integers(-3000, 3000, frames).astype(np.int16)


def decode(decoder: SandboxedDecoder, data: bytes, *, max_frames: int = 40_000) -> NDArray[np.int16]:
    return decoder.decode(data, rate=24000, channels=1, bits=16, max_frames=max_frames)


@pytest.fixture
def hostile(imposter: MakeSandbox) -> Callable[[str], SandboxedDecoder]:
    """A decoder that is a script; `hello()` has been said."""

    def make(script: str) -> SandboxedDecoder:
        beginning = f"DIGEST = {Lock.load().digest!r}\n{DECODER}\nhello()\n"
        return SandboxedDecoder(imposter("process", beginning + script, program="decoder"))

    return make


@pytest.fixture
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    from harness.sandbox.choice import choose_sandbox

    if request.param == "docker":
        request.getfixturevalue("image")
    if request.param == "bubblewrap":
        request.getfixturevalue("bwrap")
    return choose_sandbox(request.param, log=lambda line: None)


@pytest.mark.parametrize("sandbox", SANDBOXES, indirect=True)
def test_every_sandbox_decodes_to_the_same_samples_and_finds_the_same_errors(sandbox: Sandbox) -> None:
    stereo = noise(2, 60_000).reshape(-1, 2)
    with SandboxedDecoder(sandbox) as decoder:
        for seed in (1, 2):
            assert np.array_equal(decode(decoder, flac_of(noise(seed))), noise(seed))
        found = decoder.decode(flac_of(stereo), rate=24000, channels=2, bits=16, max_frames=40_000)
        assert np.array_equal(found, stereo)
        assert decoder.versions["soundfile"]
        good = flac_of(noise())
        for bad in (good[:-20_000], good[:200], good[:20_000] + bytes(50) + good[20_050:]):
            with pytest.raises(AudioError) as here:
                decode_flac(bad, rate=24000, channels=1, bits=16, max_frames=40_000)
            with pytest.raises(AudioError) as there:
                decode(decoder, bad)
            for name in ("code", "message", "expected", "found"):
                assert getattr(there.value, name) == getattr(here.value, name)
        assert np.array_equal(decode(decoder, good), noise()), "an error ends nothing"


def test_what_the_header_decides_never_reaches_the_decoder() -> None:
    class Forbidden(ProcessSandbox):
        def start(self, *_: object, **__: object) -> object:  # type: ignore[override]
            raise AssertionError("a decoder was started")

    decoder = SandboxedDecoder(Forbidden())
    for data, code in (
        (b"RIFF" + bytes(100), "not-flac"),
        (flac_of(noise(), rate=44100), "sample-rate"),
        (flac_of(noise(1, 50_000)), "length"),
    ):
        with pytest.raises(AudioError) as caught:
            decode(decoder, data)
        assert caught.value.code == code


KNOWN = f"""
    if len(flac) == {len(known.FLAC)}:
        reply(b'P', {known.expected().tobytes()!r})
        continue
"""
"""Answers a file with a known answer well, so that a failure is the submission's."""

ANSWER = f"while True:\n    _, flac = frame()\n{KNOWN}    "
BROKEN = "while True:\n    _, flac = frame()\n    "


@pytest.mark.parametrize(
    ("script", "code", "words"),
    [
        ("reply(b'P', bytes(2 * declared(flac)))", "flac-md5", "differs from the one in the header"),
        ("reply(b'P', bytes(2 * declared(flac) - 2))", "flac-corrupt", "The decoder fails on this file"),
        ("reply(b'P', bytes(2 * declared(flac) + 2))", "flac-corrupt", "The decoder fails on this file"),
        ("reply(b'P', b'')", "flac-corrupt", "The decoder fails on this file"),
        ("put(b'P' + b'\\xff' * 8)", "flac-corrupt", "The decoder fails on this file"),
        ("reply(b'X', b'?')", "flac-corrupt", "The decoder fails on this file"),
        ("reply(b'E', b'{}')", "flac-corrupt", "The decoder fails on this file"),
        (
            'reply(b\'E\', b\'{"code": "evil.example", "frames": null}\')',
            "flac-corrupt",
            "The decoder fails on this file",
        ),
        (
            'reply(b\'E\', b\'{"code": "flac-truncated", "frames": 68719476735}\')',
            "flac-corrupt",
            "The decoder fails on this file",
        ),
        ("sys.exit(0)", "flac-corrupt", "The decoder fails on this file"),
        ("os.kill(os.getpid(), 11)", "flac-corrupt", "The decoder fails on this file"),
        (
            'reply(b\'E\', b\'{"code": "flac-truncated", "frames": 7}\')',
            "flac-truncated",
            "contains about 7",
        ),
    ],
    ids=[
        "wrong samples",
        "too few samples",
        "too many samples",
        "none",
        "an endless frame",
        "an unknown frame",
        "an empty failure",
        "a failure of its own",
        "a number that can't be",
        "ends",
        "crashes",
        "says that it is cut",
    ],
)
def test_a_hostile_decoder_changes_no_sample_and_ends_in_words(
    hostile: Callable[[str], SandboxedDecoder], script: str, code: str, words: str
) -> None:
    before = {one.pid for one in psutil.Process().children(recursive=True)}
    with hostile(ANSWER + script) as decoder, pytest.raises(AudioError) as caught:
        decode(decoder, flac_of(noise()))
    assert caught.value.code == code
    assert words in caught.value.message
    assert "evil" not in repr(vars(caught.value))
    assert {one.pid for one in psutil.Process().children(recursive=True)} <= before


def test_samples_of_another_stem_are_not_taken(hostile: Callable[[str], SandboxedDecoder]) -> None:
    """It keeps the first stem's samples, and returns them for every stem of the same length."""
    first = noise(1).tobytes()
    with hostile(f"SAMPLES = {first!r}\n{ANSWER}reply(b'P', SAMPLES)") as decoder:
        assert np.array_equal(decode(decoder, flac_of(noise(1))), noise(1))
        with pytest.raises(AudioError) as caught:
            decode(decoder, flac_of(noise(2)))
    assert caught.value.code == "flac-md5"


def test_what_nobody_asked_for_is_not_taken_for_the_next_answer(
    hostile: Callable[[str], SandboxedDecoder],
) -> None:
    samples = noise(1).tobytes()
    with hostile(f"SAMPLES = {samples!r}\n{ANSWER}reply(b'P', SAMPLES); reply(b'P', SAMPLES)") as decoder:
        decode(decoder, flac_of(noise(1)))
        time.sleep(0.2)
        with pytest.raises(AudioError):
            decode(decoder, flac_of(noise(2)))


@pytest.mark.parametrize("script", ["time.sleep(600)", "put(b'P')\n    time.sleep(600)"])
def test_a_decoder_that_is_slow_ends_at_its_deadline(
    hostile: Callable[[str], SandboxedDecoder], monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    monkeypatch.setattr(decoding, "FILE_SECONDS", 1.0)
    with hostile(ANSWER + script) as decoder, pytest.raises(DeadlineError, match="after 1 s on one file"):
        decode(decoder, flac_of(noise()))


def test_a_decoder_that_drips_ends_at_its_deadline(
    hostile: Callable[[str], SandboxedDecoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "FILE_SECONDS", 1.0)
    drip = "put(struct.pack('>cQ', b'P', 60000))\n    while True:\n        put(b'x'); time.sleep(0.05)"
    with hostile(ANSWER + drip) as decoder, pytest.raises(DeadlineError):
        decode(decoder, flac_of(noise()))


def test_a_decoder_that_takes_too_much_memory_is_ended(
    hostile: Callable[[str], SandboxedDecoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "MEMORY", 100 * 2**20)
    script = "held = [bytearray(b'x' * 2**20) for _ in range(300)]\n    time.sleep(600)"
    with hostile(ANSWER + script) as decoder, pytest.raises(MemoryLimitError, match="Decoding was stopped"):
        decode(decoder, flac_of(noise()))


def test_a_crash_under_load_is_tried_again(
    hostile: Callable[[str], SandboxedDecoder], tmp_path: object
) -> None:
    samples = noise(1).tobytes()
    script = (
        f"flag = '{tmp_path}/tried'\n{ANSWER}if not os.path.exists(flag):\n        open(flag, 'w'); sys.exit(9)\n"
        f"    reply(b'P', {samples!r})"
    )
    with hostile(script) as decoder:
        assert np.array_equal(decode(decoder, flac_of(noise(1))), noise(1))


def test_it_can_be_stopped(imposter: MakeSandbox) -> None:
    stop = threading.Event()
    script = f"DIGEST = {Lock.load().digest!r}\n{DECODER}\nhello()\n{ANSWER}time.sleep(600)"
    with SandboxedDecoder(imposter("process", script, program="decoder"), stop=stop) as decoder:
        threading.Timer(0.5, stop.set).start()
        with pytest.raises(Stopped):
            decode(decoder, flac_of(noise()))


def test_another_lock_is_refused(imposter: MakeSandbox) -> None:
    script = f"DIGEST = {'0' * 64!r}\n{DECODER}\nhello()\ntime.sleep(600)"
    from harness.protocol.errors import SetupError

    sandbox = imposter("process", script, program="decoder")
    with (
        SandboxedDecoder(sandbox) as decoder,
        pytest.raises(SetupError, match=r"does not match scorer\.lock"),
    ):
        decoder.start()


def test_garbage_instead_of_a_first_message_is_an_internal_error(imposter: MakeSandbox) -> None:
    sandbox = imposter("process", f"{DECODER}\nreply(b'J', b'[]')\ntime.sleep(600)", program="decoder")
    with SandboxedDecoder(sandbox) as decoder, pytest.raises(InternalError, match="first message"):
        decoder.start()


@pytest.mark.parametrize(
    "script",
    [
        "sys.exit(1)",
        "reply(b'P', bytes(2 * declared(flac)))",
        'reply(b\'E\', b\'{"code": "flac-corrupt", "frames": 0}\')',
    ],
    ids=["crashes", "wrong samples", "always corrupt"],
)
def test_a_decoder_that_fails_on_everything_is_not_the_submissions_fault(
    hostile: Callable[[str], SandboxedDecoder], script: str
) -> None:
    with hostile(BROKEN + script) as decoder, pytest.raises(InternalError):
        decode(decoder, flac_of(noise()))
