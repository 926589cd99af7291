"""What lies under the tip: a sample in its frame, and how a good tip images it.

Rule: the truth is the good tip's image less its ground, a level where there is a substrate and a plane where not.
"""

from dataclasses import dataclass, replace

import numpy as np

from afmd.training.second.samples import SAMPLES, Grid, Sample, Surface
from afmd.training.second.samples.fields import between
from afmd.training.second.samples.grid import Heights, Mask
from afmd.training.second.tips import Image, Tip, dilated, new_tip

PAD = 24
"""Pixels beyond the frame on every side, so that the tip sees what stands there."""
FRAMED = np.s_[PAD:-PAD, PAD:-PAD]
SQUARE = 0.72
"""Share of frames with as many rows as columns."""
SIDES, SIDE_SHARES = (128, 192, 256, 256, 384, 512), (0.14, 0.1, 0.25, 0.21, 0.12, 0.18)
OBLONG = ((512, 128), (128, 512), (256, 512), (128, 256), (256, 128), (200, 320), (384, 256), (512, 256))
LEAST_PIXEL_NM, MOST_PIXEL_NM = 0.5, 100.0
LEAST_RELIEF_NM, MOST_RELIEF_NM = 0.3, 2000.0
LEAST_COVER, MOST_COVER = 0.004, 0.97
"""Shares of the frame that stand out of a substrate which can be seen."""
FRAMES_TRIED = 4


@dataclass(frozen=True, slots=True, eq=False)
class Specimen:
    """A sample as the microscope finds it. Arrays without further word are (rows, cols) of the frame.

    ``surface``: float64 nm and ``imaged``: float32 nm, by the good ``tip``, both with ``PAD`` pixels around the frame.
    ``ground``: nm, what levelling takes off. ``truth``: nm, the image in the frame less ``ground``. ``feature``: True
    where it stands out of the substrate. ``down``, ``across``: from -1 to 1 over the frame.
    """

    kind: str
    pixel_nm: tuple[float, float]
    surface: Heights
    tip: Tip
    imaged: Image
    ground: Heights
    truth: Heights
    feature: Mask
    relief_nm: float
    down: Heights
    across: Heights

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the frame."""
        rows, cols = self.truth.shape
        return rows, cols

    def dilated(self, tip: Tip) -> Image:
        """Return the surface as another tip images it, margins included."""
        return dilated(self.surface, tip, down_nm=self.pixel_nm[0], across_nm=self.pixel_nm[1])


def prepared(rng: np.random.Generator) -> Specimen:
    """Draw a sample, a frame on it and the tip that images it."""
    kind = str(rng.choice(list(SAMPLES)))
    rows, cols = _frame(rng)
    down_nm, across_nm = _pitches(rng, SAMPLES[kind], rows=rows, cols=cols)
    grid = Grid.of(rows, cols, across_nm=across_nm, down_nm=down_nm, pad=PAD)
    sample = _to_scale(rng, _worth_keeping(rng, SAMPLES[kind], grid))
    tip = new_tip(rng)
    imaged = dilated(sample.heights, tip, down_nm=down_nm, across_nm=across_nm)
    truth = framed(imaged)
    across, down = np.meshgrid(np.linspace(-1, 1, cols), np.linspace(-1, 1, rows))
    if sample.substrate is None:
        feature = np.zeros(truth.shape, bool)
        ground = _plane(truth, down=down, across=across)
    else:
        substrate = framed(dilated(sample.substrate, tip, down_nm=down_nm, across_nm=across_nm))
        feature = _standing_out(truth, substrate, sample.least_height_nm)
        ground = np.full(truth.shape, float(np.median(substrate)))
    truth -= ground
    relief = float(np.ptp(np.percentile(truth, [0.1, 99.9])))
    return Specimen(
        kind, (down_nm, across_nm), surface=sample.heights, tip=tip, imaged=imaged, ground=ground, truth=truth,
        feature=feature, relief_nm=relief, down=down, across=across,
    )  # fmt: skip


def framed(image: Image) -> Heights:
    """Return the part of a padded image that lies in the frame, as a new array."""
    return image[FRAMED].astype(np.float64)


def _frame(rng: np.random.Generator) -> tuple[int, int]:
    if rng.random() < SQUARE:
        side = int(rng.choice(SIDES, p=SIDE_SHARES))
        return side, side
    return OBLONG[rng.integers(len(OBLONG))]


def _pitches(rng: np.random.Generator, sample: Sample, *, rows: int, cols: int) -> tuple[float, float]:
    """Draw the pixel's height and width in nm; oblong frames often show a square of the sample."""
    across = float(np.clip(between(rng, sample.least_pixel_nm, sample.most_pixel_nm), LEAST_PIXEL_NM, MOST_PIXEL_NM))
    down = across
    if rows != cols:
        down = across * cols / rows if rng.random() < 0.5 else across
    elif rng.random() < 0.05:
        down = across * rng.choice([0.5, 2])
    return float(np.clip(down, LEAST_PIXEL_NM, MOST_PIXEL_NM)), across


def _worth_keeping(rng: np.random.Generator, sample: Sample, grid: Grid) -> Surface:
    """Draw surfaces until one shows more than bare substrate: nobody keeps another frame."""
    for _ in range(FRAMES_TRIED):
        made = sample.make(grid, rng)
        if made.substrate is None:
            break
        stands_out = np.abs(made.heights - made.substrate)[FRAMED] > 0.4 * made.least_height_nm
        if LEAST_COVER < stands_out.mean() < MOST_COVER:
            break
    return made


def _to_scale(rng: np.random.Generator, sample: Surface) -> Surface:
    """Stretch or press what no scanner reaches or no loop resolves."""
    relief = float(np.ptp(np.percentile(sample.heights[FRAMED], [0.2, 99.8])))
    if relief > MOST_RELIEF_NM:
        times = MOST_RELIEF_NM / relief * rng.uniform(0.5, 1)
    elif relief < LEAST_RELIEF_NM:
        times = LEAST_RELIEF_NM / max(relief, 1e-9) * rng.uniform(1, 2)
    else:
        return sample
    substrate = None if sample.substrate is None else sample.substrate * times
    return replace(
        sample, heights=sample.heights * times, substrate=substrate, least_height_nm=sample.least_height_nm * times
    )


def _standing_out(imaged: Heights, substrate: Heights, least_height_nm: float) -> Mask:
    """Return True where the image differs from the substrate's by more than the substrate's own roughness."""
    roughness = 4 * np.median(np.abs(substrate - float(np.median(substrate))))
    rough_matters = least_height_nm > 40 * np.std(substrate)
    feature = np.abs(imaged - substrate) > max(0.25 * least_height_nm, roughness if rough_matters else 0)
    if feature.mean() > MOST_COVER:
        feature[:] = False
    return np.asarray(feature)


def _plane(heights: Heights, *, down: Heights, across: Heights) -> Heights:
    mean = heights.mean()
    along = (heights * across).mean() / (across * across).mean()
    aside = (heights * down).mean() / (down * down).mean()
    return np.asarray(mean + along * across + aside * down)
