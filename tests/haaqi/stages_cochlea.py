"""The stages up to the compression: `computed_…` by harness.haaqi, `expected_…` by pyclarity."""

from __future__ import annotations

import numpy as np

from harness.haaqi import nalr
from harness.haaqi.alignment import broadband, lags
from harness.haaqi.cochlea import compression, gammatone, hearing_loss, middle_ear
from harness.haaqi.cochlea.basilar_membrane import BasilarMembrane, ChannelOutputs, SignalPair
from harness.haaqi.kernels import resampling
from tests.haaqi.cases import AUDIOGRAMS, music, noisy
from tests.haaqi.stage_inputs import (
    CHANNELS,
    LENGTH,
    LEVEL,
    LOSS,
    LOSSES,
    Numbers,
    pyclarity_eb,
    signals,
    thinned,
)


def computed_centres() -> Numbers:
    return np.concatenate((hearing_loss.centre_frequencies(), hearing_loss.equivalent_bandwidths()))


def expected_centres() -> Numbers:
    centres = pyclarity_eb().center_frequency(32)
    return np.concatenate((centres, 24.7 + centres / 9.26449))


def computed_cochleas() -> Numbers:
    cochleas = [hearing_loss.impaired_cochlea(np.array(AUDIOGRAMS[name])) for name in LOSSES]
    parts = [(c.outer_loss, c.bandwidth, c.knee, c.ratio, c.inner_loss, c.slope) for c in cochleas]
    return np.concatenate([np.ravel(parts), hearing_loss.widest_bandwidths()])


def expected_cochleas() -> Numbers:
    eb = pyclarity_eb()
    centres = eb.center_frequency(32)
    found = [eb.loss_parameters(np.array(AUDIOGRAMS[name]), centres) for name in LOSSES]
    parts = [(*five, 1 - 1 / five[3]) for five in found]  # pyclarity computes the slope in its compression
    return np.concatenate([np.ravel(parts), eb.loss_parameters([100] * 6, centres)[1]])


def computed_equalisers() -> Numbers:
    reference = music(1500, seed=23)
    taps = [nalr.equaliser(np.array(AUDIOGRAMS[name])) for name in LOSSES]
    taps.append(nalr.equaliser(np.full(6, 0.5)))
    return np.concatenate([*taps, nalr.amplify(reference, taps=taps[2])[::9]])


def expected_equalisers() -> Numbers:
    from clarity.enhancer.nalr import NALR

    frequencies = [250, 500, 1000, 2000, 4000, 6000]
    taps = [NALR(140, 24000).build(np.array(AUDIOGRAMS[name]), frequencies)[0] for name in LOSSES]
    taps.append(NALR(140, 24000).build(np.full(6, 0.5), frequencies)[0])
    amplified = np.convolve(music(1500, seed=23), taps[2])[140:1640]
    return np.concatenate([*taps, amplified[::9]])


def computed_resampling() -> Numbers:
    kinds = (
        (8000, np.float64),
        (16000, np.float32),
        (44100, np.float64),
        (48000, np.float32),
        (24400, np.float64),
    )
    return thinned(*[resampling.resample(music(3000, seed=r).astype(k), sample_rate=r) for r, k in kinds])


def expected_resampling() -> Numbers:
    kinds = (
        (8000, np.float64),
        (16000, np.float32),
        (44100, np.float64),
        (48000, np.float32),
        (24400, np.float64),
    )
    return thinned(*[pyclarity_eb().resample_24khz(music(3000, seed=r).astype(k), r)[0] for r, k in kinds])


def _unaligned() -> list[tuple[Numbers, Numbers]]:
    reference = music(5000, seed=24)
    # Both ends rise slowly past the level below which a reference is trimmed.
    peak = np.max(np.abs(reference[600:-600]))
    reference[:600] = np.linspace(0.00099, 0.00101, 600) * peak
    reference[-600:] = np.linspace(0.00101, 0.00099, 600) * peak
    return [(reference, np.roll(noisy(reference), by)) for by in (-300, -20, 0, 48, 49, 700)]


def computed_alignment() -> Numbers:
    parts = []
    for reference, processed in _unaligned():
        part = broadband.audible_span(reference)
        moved = broadband.shift(processed, broadband.BroadbandAligner(reference=reference).delay(processed))
        parts += [reference[part], moved[part]]
    return thinned(*[[len(part)] for part in parts], *parts)


def expected_alignment() -> Numbers:
    parts = []
    for reference, processed in _unaligned():
        parts += list(pyclarity_eb().input_align(reference, processed))
    return thinned(*[[len(part)] for part in parts], *parts)


def computed_middle_ear() -> Numbers:
    return thinned(middle_ear.middle_ear(signals()[0]))


def expected_middle_ear() -> Numbers:
    return thinned(pyclarity_eb().middle_ear(signals()[0], 24000))


def computed_widths() -> Numbers:
    cochlea, widest = hearing_loss.impaired_cochlea(LOSS), hearing_loss.widest_bandwidths()
    parts = []
    for level in (40.0, 80.0, LEVEL, 130.0):
        rms = gammatone.control_rms(signals()[1], filters=gammatone.design(widest))
        width = gammatone.adjusted_bandwidth(rms, narrowest=cochlea.bandwidth, widest=widest, level=level)
        parts += [rms, width, gammatone.group_delay_compensation(width)]
    return np.concatenate(parts)


def expected_widths() -> Numbers:
    eb = pyclarity_eb()
    centres = eb.center_frequency(32)
    narrowest = eb.loss_parameters(LOSS, centres)[1]
    widest = eb.loss_parameters([100] * 6, centres)[1]
    signal = signals()[1]
    controls = [
        eb.gammatone_basilar_membrane(signal, widest[k], signal, widest[k], 24000, centres[k])[0]
        for k in range(32)
    ]
    parts = []
    for level in (40.0, 80.0, LEVEL, 130.0):
        rms = [np.sqrt(np.mean(control**2)) for control in controls]
        width = np.array(
            [eb.bandwidth_adjust(controls[k], narrowest[k], widest[k], level) for k in range(32)]
        )
        impulse = np.zeros((32, LENGTH))
        impulse[:, 0] = 1.0
        delays = np.argmax(eb.group_delay_compensate(impulse, width, centres, 24000), axis=1)
        parts += [rms, width, delays]
    return np.concatenate(parts)


def _computed_outputs(loss: Numbers, level: float) -> list[Numbers]:
    widest, cochlea = hearing_loss.widest_bandwidths(), hearing_loss.impaired_cochlea(loss)
    control = gammatone.design(widest)
    padded = -(-LENGTH // gammatone.BLOCK) * gammatone.BLOCK
    both = [np.concatenate((signal, np.zeros(padded - LENGTH))) for signal in signals()]
    filters = [gammatone.design(widest), gammatone.design(cochlea.bandwidth)]
    parts: list[Numbers] = []
    for number in CHANNELS:
        channels = [
            compression.channel_parameters(
                control_taps=control.taps[number],
                control_gain=float(control.gain[number]),
                taps=own.taps[number],
                gain=float(own.gain[number]),
                phase_step=gammatone.phase_steps()[number],
                cochlea=cochlea,
                channel=number,
                level=level,
            )
            for own in filters
        ]
        outputs = [BasilarMembrane(np.empty(padded), np.empty(padded)) for _ in range(2)]
        compressor = compression.Compressor(
            SignalPair(*both),
            length=LENGTH,
            channels=compression.ChannelPair(*channels),
            outputs=ChannelOutputs(*outputs),
        )
        compressor.advance(LENGTH)
        rms = compressor.envelope_rms()
        parts += [np.array(rms), *[array[:LENGTH] for output in outputs for array in output]]
    return parts


def _expected_outputs(loss: Numbers, level: float) -> list[Numbers]:
    eb = pyclarity_eb()
    centres = eb.center_frequency(32)
    outer, narrow, knee, ratio, _ = eb.loss_parameters(loss, centres)
    widest = eb.loss_parameters([100] * 6, centres)[1]
    reference, processed = signals()
    parts: list[Numbers] = []
    for k in CHANNELS:
        control, _, other, _ = eb.gammatone_basilar_membrane(
            reference, widest[k], processed, widest[k], 24000, centres[k]
        )
        env, motion, env2, motion2 = eb.gammatone_basilar_membrane(
            reference, widest[k], processed, narrow[k], 24000, centres[k]
        )
        parts += [np.array([np.sqrt(np.mean(env**2)), np.sqrt(np.mean(env2**2))])]
        parts += eb.env_compress_basilar_membrane(
            env, motion, control, outer[k], knee[k], ratio[k], 24000, level
        )
        parts += eb.env_compress_basilar_membrane(
            env2, motion2, other, outer[k], knee[k], ratio[k], 24000, level
        )
    return parts


def computed_compression() -> Numbers:
    parts = [
        part for loss, level in ((LOSS, LEVEL), (0 * LOSS, 125.0)) for part in _computed_outputs(loss, level)
    ]
    return thinned(
        *[part / np.max(np.abs(part)) for part in parts], *[[np.max(np.abs(part))] for part in parts]
    )


def expected_compression() -> Numbers:
    parts = [
        part for loss, level in ((LOSS, LEVEL), (0 * LOSS, 125.0)) for part in _expected_outputs(loss, level)
    ]
    return thinned(
        *[part / np.max(np.abs(part)) for part in parts], *[[np.max(np.abs(part))] for part in parts]
    )


def computed_lags() -> Numbers:
    found = []
    for length in (500, 2400, 2401, 6000, 30000):
        reference = np.abs(music(length, seed=25))
        for by in (-2500, -2399, -7, 0, 1, 60, 2398, 2500):
            found.append(lags.best_delay(reference, noisy(np.roll(reference, by)), length=length))
    return np.array(found, dtype=np.float64)


def expected_lags() -> Numbers:
    found = []
    for length in (500, 2400, 2401, 6000, 30000):
        reference = np.abs(music(length, seed=25))
        for by in (-2500, -2399, -7, 0, 1, 60, 2398, 2500):
            processed = noisy(np.roll(reference, by))
            moved = pyclarity_eb().envelope_align(reference, processed)
            reach = min(2400, length)
            fits = [d for d in range(-reach, reach) if np.array_equal(broadband.shift(processed, d), moved)]
            found.append(fits[0])
    return np.array(found, dtype=np.float64)
