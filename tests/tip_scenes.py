"""Pictures whose surface and tip are known: blocks, domes and rough ground under a rounded cone."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from afmd.domain.tip import Tip
from afmd.science.tip import dilate, kernel


@dataclass(frozen=True)
class Scene:
    """``surface`` and ``image``, float32 nm, ``pixel_nm`` (down, across), and the tip between them."""

    surface: NDArray[np.float32]
    image: NDArray[np.float32]
    pixel_nm: tuple[float, float]
    tip: Tip

    @property
    def clear(self) -> NDArray[np.bool_]:
        """A mask of nothing."""
        return np.zeros(self.image.shape, dtype=bool)


def scene(
    kind: str = "blocks", *, radius_nm: float = 10.0, noise_nm: float = 0.0, seed: int = 1, side: int = 128,
    pixel_nm: tuple[float, float] = (1.0, 1.0),
) -> Scene:  # fmt: skip
    """Blocks and domes are 16 to 20 nm wide and 14 to 22 nm high, on flat ground; rough ground has 5 nm rms."""
    rng = np.random.default_rng(seed)
    surface = _rough(rng, side) if kind == "rough" else _particles(kind, rng, side, pixel_nm)
    tip = Tip(radius_nm, 22.0)
    shape = kernel(tip, pixel_nm=pixel_nm, relief_nm=float(np.ptp(surface)) + 1)
    image = dilate(surface, shape) + rng.normal(0, noise_nm, surface.shape).astype(np.float32)
    return Scene(surface, image.astype(np.float32), pixel_nm, tip)


def _particles(kind: str, rng: np.random.Generator, side: int, pixel_nm: tuple[float, float]) -> NDArray[np.float32]:
    down, across = np.mgrid[:side, :side] * np.reshape(pixel_nm, (2, 1, 1))
    surface = np.zeros((side, side))
    for top in np.arange(30, side * pixel_nm[0] - 20, 60.0):
        for left in np.arange(30, side * pixel_nm[1] - 20, 60.0):
            turned, height, half = rng.uniform(0, np.pi), rng.uniform(14, 22), rng.uniform(8, 10)
            y, x = down - top - rng.uniform(-6, 6), across - left - rng.uniform(-6, 6)
            u, v = np.cos(turned) * x + np.sin(turned) * y, np.cos(turned) * y - np.sin(turned) * x
            block = height * ((abs(u) <= half) & (abs(v) <= half))
            dome = height * np.sqrt(np.maximum(0, 1 - (u**2 + v**2) / half**2))
            surface = np.maximum(surface, dome if kind == "domes" else block)
    return surface.astype(np.float32)


def _rough(rng: np.random.Generator, side: int) -> NDArray[np.float32]:
    wave = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    spectrum = (1 + (90 * wave) ** 2) ** -0.875 * np.exp(2j * np.pi * rng.random(wave.shape))
    spectrum[0, 0] = 0
    surface = np.fft.irfft2(spectrum, s=(side, side))
    return (5 * surface / surface.std()).astype(np.float32)
