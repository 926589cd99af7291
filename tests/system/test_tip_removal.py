"""The last stage in a real daemon: from a file in the capture folder to a surface without the tip at the client."""

import json
from collections.abc import Callable

import numpy as np
import pytest
from lab import Lab
from tip_scenes import Scene, scene

from afmd.domain.scan import Channel, Direction
from afmd.files.nanoscope import encode
from afmd_client.errors import NotFound
from afmd_client.nouns import Event, State

MakeLab = Callable[..., Lab]

ESTIMATED = """
[deconvolution]
mode = "estimated"
method = "certainty"
"""
KNOWN = """
[deconvolution]
mode = "known"
radius_nm = 10.0
half_angle_deg = 22.0
method = "erosion"
"""


def file_of(of: Scene) -> bytes:
    return encode([Channel("Height", Direction.TRACE, "nm", of.image)], pixel_nm=of.pixel_nm)


def finished(lab: Lab, name: str, of: Scene) -> Event:
    lab.drop(name, file_of(of))
    lab.until_at_rest(name)
    assert lab.ear.states(name)[-1] is State.COMPLETE
    return lab.until_state(name, State.RESTORED)


def test_a_scan_tells_its_tip_and_the_client_gets_the_surface_without_it(make_lab: MakeLab) -> None:
    lab, of = make_lab(more=ESTIMATED), scene("blocks", noise_nm=0.1, side=160)
    event = finished(lab, "blocks.001", of)
    assert event.repair is not None
    found = event.repair.deconvolution
    assert found is not None
    assert found.tip is not None
    assert (found.refusal, found.estimated, found.method) == ("", True, "certainty")
    assert found.tip.radius_nm == pytest.approx(10, rel=0.1)
    assert 0 < found.tip.radius_sigma_nm < 2

    client = lab.client()
    surface, sigma, contact, restored = (
        client.array(event.scan_id, kind) for kind in ("surface", "surface_sigma", "contact", "restored")
    )
    client.close()

    assert (surface.unit, sigma.unit, contact.unit) == ("nm", "nm", "1")
    assert contact.mean() == pytest.approx(found.touched_share, abs=1e-5)
    lift = np.median(np.asarray(restored) - of.image)
    nearer, before = (np.sqrt(np.mean((np.asarray(h) - lift - of.surface) ** 2)) for h in (surface, restored))
    assert nearer < 0.6 * before
    record = json.loads(next(lab.restored.glob("blocks.001~*/r1/record.json")).read_text(encoding="utf-8"))
    assert record["restoration"]["deconvolution"]["tip"]["radius_nm"] == pytest.approx(found.tip.radius_nm, abs=1e-3)
    assert {"surface.txt", "heights.txt"} <= set(record["outputs"])


def test_a_scan_too_coarse_for_the_known_tip_is_left_alone_and_everyone_is_told(make_lab: MakeLab) -> None:
    lab = make_lab(more=KNOWN)
    event = finished(lab, "coarse.001", scene("rough", pixel_nm=(20.0, 20.0)))
    assert event.repair is not None
    found = event.repair.deconvolution
    assert found is not None
    assert "too coarse" in found.refusal

    client = lab.client()
    with pytest.raises(NotFound, match="tip"):
        client.array(event.scan_id, "surface")
    client.close()
    folder = next(lab.restored.glob("coarse.001~*/r1"))
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    assert "too coarse" in record["restoration"]["deconvolution"]["refusal"]
    assert not (folder / "surface.txt").exists()


def test_nobody_hears_of_a_tip_where_nobody_asked(shared_lab: Lab) -> None:
    event = finished(shared_lab, "plain.001", scene("rough", side=64, seed=77))

    assert event.repair is not None
    assert event.repair.deconvolution is None
