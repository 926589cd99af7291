"""Something is added to heights that were followed well. Rule: waves report their envelope, so that a mask has no holes
where a wave passes through zero.
"""

from dataclasses import replace

import numpy as np

from afmd.twin.artifacts.scene import Scene, Spoilt
from afmd.twin.draw import Draw
from afmd.twin.grid import Grid, Heights, smooth_field
from afmd.twin.noise import split_passes, wave
from afmd.twin.servo import Loop


def ripple(draw: Draw, scene: Scene, heights: Heights) -> Spoilt:
    """Optical interference of light off the lever and off the sample: a smooth wave across the frame."""
    rows, cols = scene.shape
    near = draw.choice("near", (0.0, 90.0))
    angle = near + draw.rng.normal(0, 1) * draw.log("turn_deg", 1, 40)
    period = draw.log("period_share", 0.04, 0.7) * (0.5 if near else 1.0)
    down, across = (
        np.linspace(0, rows / max(rows, cols), rows)[:, None],
        np.linspace(0, cols / max(rows, cols), cols)[None, :],
    )
    along = across * np.cos(np.radians(angle)) + down * np.sin(np.radians(angle))
    bent = draw.log("bent", 0.01, 0.25) * smooth_field(draw.rng, Grid(rows, cols, 1.0, 1.0), 0.4 * min(rows, cols))
    phase = 2 * np.pi * (along / period + bent + draw.rng.random())
    swell = 1 + draw.uniform("swell", 0, 0.8) * np.tanh(
        smooth_field(draw.rng, Grid(rows, cols, 1.0, 1.0), 0.4 * min(rows, cols))
    )
    envelope = _wave_height(draw, scene, 0.5) * swell
    late = draw.uniform("retrace_phase", -0.4, 0.4)
    return Spoilt(heights + envelope * np.stack([np.sin(phase), np.sin(phase + late)]), envelope=envelope)


def mains(draw: Draw, scene: Scene, heights: Heights) -> Spoilt:
    """Mains or vibration: one frequency in time, so slanted stripes whose angle depends on the line rate."""
    rows, cols = scene.shape
    hertz = (
        draw.choice("mains_hz", (50.0, 60.0, 100.0, 120.0)) if draw.chance("line", 0.6) else draw.log("hertz", 8, 300)
    )
    per_pixel = min(hertz * scene.line_s / (2 * cols), draw.uniform("fastest_per_px", 0.12, 0.3))
    wobble = np.cumsum(draw.rng.standard_normal(rows)) * draw.log("wobble", 1e-3, 0.05) + draw.rng.random()
    hum = wave(rows, 2 * cols, per_step=per_pixel, phase=wobble)
    envelope = _wave_height(draw, scene, 0.4) * scene.gate(draw, whole=0.6)[:, None]
    return Spoilt(heights + split_passes(hum * envelope), envelope=np.broadcast_to(envelope, (rows, cols)))


def burst(draw: Draw, scene: Scene, heights: Heights) -> Spoilt:
    """A door, a voice, a pump: noise of a band of frequencies over some lines."""
    rows, cols = scene.shape
    period = draw.log("period_px", 3, 16)
    noise = draw.rng.standard_normal((rows, 2 * cols))
    spectrum = np.fft.rfft(noise, axis=1)
    ring = np.exp(-(((np.fft.rfftfreq(2 * cols) * period - 1) / draw.uniform("band", 0.1, 0.6)) ** 2) / 2)
    sound = np.fft.irfft(spectrum * ring, n=2 * cols, axis=1)
    envelope = _wave_height(draw, scene, 0.6) * scene.gate(draw, whole=0.0)[:, None]
    return Spoilt(
        heights + split_passes(sound / sound.std() * envelope), envelope=np.broadcast_to(envelope, (rows, cols))
    )


def spike(draw: Draw, scene: Scene, heights: Heights) -> Spoilt:
    """Electrical or acoustic hits: single pixels, some with a short tail in the direction of motion."""
    count = max(3, int(scene.share(draw, "pixel_share", 6e-4, 0.06) * np.prod(scene.shape)))
    height, up = scene.amplitude(draw), draw.uniform("up_share", 0.5, 1.0)
    tail = draw.log("tail_px", 0.2, 2.0)
    result = heights.copy()
    for way, away in ((0, 1), (1, -1)):
        row, col = draw.rng.integers(0, scene.shape[0], count), draw.rng.integers(0, scene.shape[1], count)
        tall = height * np.exp(0.5 * draw.rng.standard_normal(count)) * np.where(draw.rng.random(count) < up, 1, -1)
        for step in range(4):
            at = col + away * step
            inside = (at >= 0) & (at < scene.shape[1])
            np.add.at(result[way], (row[inside], at[inside]), tall[inside] * np.exp(-step / tail))
    return Spoilt(result)


def ringing(draw: Draw, scene: Scene, loop: Loop) -> Loop:
    """Gain too high against the lags: the loop rings after every edge, and sings on the noise.

    The pole's radius ρ and the period P fix lag and gain: 1 - c = ρ², 2 - c - g c = 2 ρ cos(2π / P), where c is the
    share that the lag makes good in one pixel and g the integral gain.
    """
    period = draw.log("period_px", 3.5, 22)
    damping = float(0.3 * (0.03 / 0.3) ** scene.severity) * draw.log("damping_spread", 0.8, 1.3)
    radius = float(np.exp(-2 * np.pi * damping / period))
    catch_up = 1 - radius**2
    integral = (2 - catch_up - 2 * radius * np.cos(2 * np.pi / period)) / catch_up
    draw.values["damping"] = round(damping, 6)
    on = scene.gate(draw, whole=0.6) > 0.5
    return replace(
        loop, integral=np.where(on, integral, loop.integral), proportional=np.where(on, 0.0, loop.proportional),
        cantilever_px=np.where(on, -1.0 / np.log(1 - catch_up), loop.cantilever_px),
        piezo_px=np.where(on, 0.0, loop.piezo_px), wave_px=period,
    )  # fmt: skip


def start_drift(draw: Draw, scene: Scene, paths: Heights) -> Spoilt:
    """The scanner still creeps when the frame begins: the first lines are displaced sideways and tilted.

    That they lie higher or lower as well is an offset of each line, so it belongs to the background.
    """
    rows, cols = paths.shape[1:]
    decay = np.exp(-np.arange(rows) / (scene.share(draw, "length_share", 0.02, 0.25) * rows))
    sideways = draw.log("sideways_share", 0.03, 0.5) * scene.grid.margin_cols * draw.rng.choice([-1, 1])
    index = np.clip(np.arange(cols)[None, :] + sideways * decay[:, None], 0, cols - 1)
    whole = np.minimum(index.astype(np.int64), cols - 2)
    part = index - whole
    moved = [np.take_along_axis(p, whole, 1) * (1 - part) + np.take_along_axis(p, whole + 1, 1) * part for p in paths]
    height = scene.amplitude(draw) * draw.rng.choice([-1, 1]) * decay
    tilt = draw.log("tilt", 0.6, 2.0) * draw.rng.choice([-1, 1]) * np.linspace(-1, 1, cols)
    return Spoilt(np.stack(moved) + height[:, None] * tilt, offsets=height * draw.uniform("rise", 0.3, 3.0))


def saturation(draw: Draw, scene: Scene, heights: Heights) -> Spoilt:
    """The piezo or the converter is at its end: flat tops or flat floors."""
    share = scene.share(draw, "clipped_share", 0.004, 0.3)
    limit = float(np.quantile(heights[0], 1 - share))
    if draw.chance("low_end", 0.35):
        return Spoilt(np.maximum(heights, np.quantile(heights[0], share)))
    return Spoilt(np.minimum(heights, limit))


def _wave_height(draw: Draw, scene: Scene, share: float) -> float:
    """Half the height from crest to trough in nm; a wave fills the frame, so a lower one spoils as much."""
    return max(share * scene.amplitude(draw), 1.1 * scene.threshold_nm)
