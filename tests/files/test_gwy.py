"""Gwyddion's format there and back, and Gwyddion's word on what we write."""

import io
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from real_scans import needs_gwyddion

from afmd.errors import InvalidInput
from afmd.files import gwy

plain = st.one_of(
    st.booleans(),
    st.integers(-(2**31), 2**31 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
)
keys = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=8)
objects = st.recursive(
    st.builds(gwy.GwyObject, keys, st.dictionaries(keys, plain, max_size=4)),
    lambda inner: st.builds(gwy.GwyObject, keys, st.dictionaries(keys, plain | inner, max_size=4)),
    max_leaves=6,
)


def dumped(top: gwy.GwyObject) -> bytes:
    file = io.BytesIO()
    gwy.dump(top, file)
    return file.getvalue()


def told(value: object) -> object:
    if isinstance(value, gwy.GwyObject):
        return value.name, {k: told(v) for k, v in value.items.items()}
    return type(value).__name__, value


@settings(max_examples=100, deadline=None)
@given(objects)
def test_what_is_dumped_loads_again(top: gwy.GwyObject) -> None:
    assert told(gwy.loads(dumped(top))) == told(top)


def test_an_image_comes_back_as_it_was() -> None:
    heights = np.arange(12, dtype=np.float32).reshape(3, 4)

    top = gwy.GwyObject("GwyContainer", {"/0/data": gwy.data_field(heights, pixel_m=(2e-9, 1e-9), factor=1e-9)})
    field = gwy.loads(dumped(top)).items["/0/data"]

    assert isinstance(field, gwy.GwyObject)
    np.testing.assert_array_equal(gwy.field_values(field), heights.astype(float) * 1e-9)
    assert (field.items["xreal"], field.items["yreal"]) == pytest.approx((4e-9, 6e-9))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_broken_files_are_refused_or_read_but_never_crash(data: st.DataObject) -> None:
    whole = bytearray(dumped(gwy.GwyObject("GwyContainer", {"/0/data": gwy.data_field(np.eye(3), pixel_m=(1, 1))})))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))

    try:
        gwy.loads(bytes(whole[: data.draw(st.integers(0, len(whole)))]))
    except InvalidInput:
        return


def test_a_field_whose_sizes_contradict_each_other_is_refused() -> None:
    field = gwy.GwyObject("GwyDataField", {"xres": 3, "yres": 2, "data": np.zeros(5)})

    with pytest.raises(InvalidInput, match="5 values are not 2 rows of 3"):
        gwy.field_values(field)


@needs_gwyddion
def test_gwyddion_opens_what_we_dump(tmp_path: Path) -> None:
    heights = np.random.default_rng(0).normal(size=(5, 7))
    items = {"/0/data": gwy.data_field(heights, pixel_m=(2e-9, 1e-9), factor=1e-9), "/0/data/title": "Höhe"}
    with (tmp_path / "ours.gwy").open("wb") as file:
        gwy.dump(gwy.GwyObject("GwyContainer", items), file)

    command = ["gwyddion", f"--convert-to-gwy={tmp_path / 'theirs.gwy'}", str(tmp_path / "ours.gwy")]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    theirs = gwy.loads((tmp_path / "theirs.gwy").read_bytes()).items

    assert theirs["/0/data/title"] == "Höhe"
    np.testing.assert_allclose(gwy.field_values(theirs["/0/data"]), heights * 1e-9, rtol=1e-12)
