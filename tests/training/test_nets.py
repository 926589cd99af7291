"""Networks: published names, any shape, and context along lines only."""

import pytest
import torch

from afmd.errors import ModelError
from afmd.training.natures import NATURES, UNKNOWN, nature_of
from afmd.training.resnet import ResNet18, load_imagenet
from afmd.training.unet import FRAME, LINE, OUTPUTS, Context, LightUNet
from afmd.twin import KINDS


def published_shapes() -> dict[str, tuple[int, ...]]:
    """The published ResNet-18's convolutions and projections, written out by hand from its table."""
    shapes = {"conv1.weight": (64, 3, 7, 7), "fc.weight": (1000, 512), "fc.bias": (1000,)}
    for stage, (inputs, outputs) in enumerate([(64, 64), (64, 128), (128, 256), (256, 512)], start=1):
        shapes[f"layer{stage}.0.conv1.weight"] = (outputs, inputs, 3, 3)
        shapes[f"layer{stage}.0.conv2.weight"] = (outputs, outputs, 3, 3)
        shapes[f"layer{stage}.1.conv1.weight"] = (outputs, outputs, 3, 3)
        shapes[f"layer{stage}.1.conv2.weight"] = (outputs, outputs, 3, 3)
        if stage > 1:
            shapes[f"layer{stage}.0.downsample.0.weight"] = (outputs, inputs, 1, 1)
            shapes[f"layer{stage}.0.downsample.1.running_mean"] = (outputs,)
    return shapes


def test_at_width_64_names_and_shapes_are_the_published_ones():
    state = ResNet18(classes=1000).state_dict()

    for name, shape in published_shapes().items():
        assert tuple(state[name].shape) == shape
    assert len(state) == 122
    assert sum(v.numel() for n, v in state.items() if not n.endswith(("mean", "var", "tracked"))) == 11_689_512


def test_published_weights_fill_every_layer_but_the_last(tmp_path):
    torch.manual_seed(0)
    published = {name: torch.randn_like(v) if v.dtype.is_floating_point else v + 7
                 for name, v in ResNet18(classes=1000, width=8).state_dict().items()}  # fmt: skip
    torch.save(published, tmp_path / "resnet18.pth")
    net = ResNet18(classes=4, width=8)
    last = net.fc.weight.clone()

    load_imagenet(net, tmp_path / "resnet18.pth")

    state = net.state_dict()
    assert all(torch.equal(state[name], value) for name, value in published.items() if not name.startswith("fc."))
    assert torch.equal(net.fc.weight, last)


def test_weights_of_another_width_are_refused_by_layer(tmp_path):
    torch.save(ResNet18(classes=1000, width=8).state_dict(), tmp_path / "narrow.pth")

    with pytest.raises(ModelError, match=r"layer conv1\.weight"):
        load_imagenet(ResNet18(classes=4, width=16), tmp_path / "narrow.pth")


def test_a_file_that_is_no_state_dictionary_is_refused(tmp_path):
    (tmp_path / "text.pth").write_text("hello")

    with pytest.raises(ModelError, match="ImageNet weights"):
        load_imagenet(ResNet18(classes=4, width=4), tmp_path / "text.pth")


@pytest.mark.parametrize("shape", [(32, 32), (64, 160), (160, 96)])
@pytest.mark.parametrize("separable", [False, True])
def test_the_segmenter_keeps_rows_and_columns(shape, separable):
    net = LightUNet(planes=9, width=4, separable=separable).eval()

    logits, classes = net(torch.zeros(2, 9, *shape))

    assert logits.shape == (2, OUTPUTS, *shape)
    assert classes.shape == (2, 4, shape[0] // 4, shape[1] // 4)


def test_every_kind_of_fault_has_one_nature():
    assert sorted(kind for kinds in NATURES.values() for kind in kinds) == sorted(KINDS)


def test_faults_of_several_natures_have_none_together():
    assert nature_of(["scar", "spike"]) == 0
    assert nature_of(["ripple", "mains"]) == 2
    assert nature_of(["scar", "ripple"]) == nature_of([]) == UNKNOWN


def reach(net: LightUNet) -> tuple[bool, bool]:
    """Whether a far pixel of the same line, and one of the same column, changes the centre of the answer."""
    generator = torch.Generator().manual_seed(1)
    image = torch.randn(1, 9, 512, 512, generator=generator)
    along, down = image.clone(), image.clone()
    along[0, :, 256, 2] += 1000
    down[0, :, 2, 256] += 1000
    with torch.no_grad():
        plain, one, other = (net(x)[0][0, :, 256, 256] for x in (image, along, down))
    return not torch.equal(plain, one), not torch.equal(plain, other)


def test_only_context_sees_what_is_far():
    torch.manual_seed(0)

    assert reach(LightUNet(planes=9, width=4).eval())[0]
    assert reach(LightUNet(planes=9, width=4, strips=False).eval()) == (False, False)


@pytest.mark.parametrize(("over", "reached"), [(LINE, [False, True, False]), (FRAME, [True, True, True])])
def test_context_reaches_its_line_or_the_whole_frame(over, reached):
    torch.manual_seed(0)
    context, image = Context(3, over=over), torch.zeros(1, 3, 3, 8)
    spoilt = image.clone()
    spoilt[0, :, 1, 0] = 9

    changed = (context(spoilt) != context(image))[0, :, :, 7].any(dim=0)

    assert changed.tolist() == reached
