"""A sealed file is where a training can go on: the network answers as the file does, and learns from there."""

import numpy as np
import pytest
import torch
from torch import nn

from afmd.errors import ModelError
from afmd.training.export import export, largest_difference
from afmd.training.tasks import task_for
from afmd.training.train import HISTORY, train
from afmd.training.unet import LightUNet
from afmd.training.unsealed import unseal

PLANES = 10


def learned(*, width: int = 4, separable: bool = False) -> LightUNet:
    """A network whose normalisations all do something."""
    torch.manual_seed(5)
    net = LightUNet(planes=PLANES, width=width, separable=separable)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 2.0)
            nn.init.normal_(module.bias)
    for _ in range(30):
        net.train()(torch.randn(2, PLANES, 32, 64))
    return net.eval()


@pytest.fixture
def sealed(tmp_path):
    file = tmp_path / "sealed.onnx"
    export(learned(), file, sample=np.zeros((1, PLANES, 64, 64), np.float32))
    return file


def batches() -> list[torch.Tensor]:
    torch.manual_seed(7)
    return [3 * torch.randn(2, PLANES, 64, 64) + 1 for _ in range(3)]


@pytest.mark.parametrize("separable", [False, True])
def test_the_network_answers_as_the_file_and_its_statistics_are_the_batches(tmp_path, separable):
    file = tmp_path / "sealed.onnx"
    export(learned(separable=separable), file, sample=np.zeros((1, PLANES, 64, 64), np.float32))
    net = LightUNet(planes=PLANES, width=4, separable=separable)

    unseal(net, file, batches())

    assert largest_difference(net, file, [batches()[0][:1].numpy()]) < 1e-4
    seen = torch.cat([net.stem.convolve(batch) for batch in batches()])
    torch.testing.assert_close(net.stem.norm.running_mean, seen.mean(dim=(0, 2, 3)), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(net.stem.norm.running_var, seen.var(dim=(0, 2, 3)), rtol=1e-2, atol=1e-3)


def test_a_file_of_another_width_is_refused(sealed):
    with pytest.raises(ModelError, match="its convolutions are not this network's"):
        unseal(LightUNet(planes=PLANES, width=8), sealed, batches())


def test_a_file_that_is_no_network_is_refused(tmp_path):
    (tmp_path / "broken.onnx").write_bytes(b"not a network")

    with pytest.raises(ModelError, match="cannot be read"):
        unseal(LightUNet(planes=PLANES, width=4), tmp_path / "broken.onnx", batches())


def test_a_training_goes_on_from_a_sealed_file(segmenter, tmp_path, sealed, training, validation):
    rule = segmenter.optimiser.model_copy(update={"start": sealed, "steps": 1, "learning_rate": 1e-12})
    onward = segmenter.model_copy(update={"optimiser": rule})

    best = train(onward, run=tmp_path / "onward", training=training, validation=validation)

    net = task_for(onward).build()
    net.load_state_dict(torch.load(best, weights_only=True))
    sample = task_for(onward).batch(training, 0).planes[:1].numpy()
    assert (tmp_path / "onward" / HISTORY).exists()
    assert largest_difference(net.eval(), sealed, [sample]) < 1.0
