"""What encoders publish is what they return; what has no pyramid is refused in words."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
import torch

from ushape.errors import ConfigError
from ushape.nets.timm_encoder import TimmEncoder, published

PUBLISHED = {
    "resnet34": ((64, 64, 128, 256, 512), (2, 4, 8, 16, 32)),
    "resnet50": ((64, 256, 512, 1024, 2048), (2, 4, 8, 16, 32)),
    "vgg16": ((64, 128, 256, 512, 512, 512), (1, 2, 4, 8, 16, 32)),
    "darknet53": ((32, 64, 128, 256, 512, 1024), (1, 2, 4, 8, 16, 32)),
    "convnext_atto": ((40, 80, 160, 320), (4, 8, 16, 32)),
    "mobilenetv3_small_050": ((16, 8, 16, 24, 288), (2, 4, 8, 16, 32)),
    "tf_efficientnetv2_b0": ((16, 32, 48, 112, 192), (2, 4, 8, 16, 32)),
    "swin_tiny_patch4_window7_224": ((96, 192, 384, 768), (4, 8, 16, 32)),
}


@pytest.mark.parametrize("model", PUBLISHED)
def test_encoders_publish_what_their_papers_say(model: str) -> None:
    what = published(model)
    assert (what.channels, what.strides) == PUBLISHED[model]


def test_a_survey_draws_no_random_numbers_and_makes_no_weights() -> None:
    published.__globals__["survey"].cache_clear()
    before = torch.get_rng_state()
    published("resnet34")
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("vit_tiny_patch16_224", "no pyramid: all its maps are at stride 16"),
        ("sequencer2d_s", "maps at strides 7, 14: a decoder that doubles sizes needs"),
        ("hiera_tiny_224", "does not take images of every size"),
        ("coat_tiny", "doesn't match model"),
        ("legacy_xception", r"does not publish what it says: .*29, 45.* in place of .*32, 48"),
        ("tresnet_m", "timm does not build it with features_only=True"),
    ],
)
def test_models_that_cannot_serve_are_refused_with_the_reason(model: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        published(model)
    assert str(caught.value).startswith(model)
    assert re.search("Choose (another|a convolutional).* resnet34", str(caught.value))


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("resnet43", "did you mean .*resnet34"),
        ("resnet34.a1_in1k", "give encoder=resnet34 and weights=a1_in1k"),
        ("hf-hub:some/thing", "unknown encoder"),
        ("", "unknown encoder ''"),
    ],
)
def test_unknown_names_are_refused_with_near_ones(model: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        published(model)


def test_input_channels_that_a_model_cannot_take_are_refused() -> None:
    """The model cuts its image into blocks of three channels, and only says so when run."""
    TimmEncoder("csatv2", in_channels=3)
    with pytest.raises(ConfigError, match="csatv2 does not take images of 4 channels"):
        TimmEncoder("csatv2", in_channels=4)


def test_a_broken_torchvision_is_explained_where_nothing_mends_it() -> None:
    code = (
        "from ushape.errors import ConfigError\n"
        "from ushape.nets.timm_encoder import published\n"
        "try:\n"
        "    import torchvision\n"
        "    print('works')\n"
        "except RuntimeError: pass\n"
        "try:\n"
        "    published('resnet34')\n"
        "except ConfigError as error:\n"
        "    print(error)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    if result.stdout.strip() == "works":
        pytest.skip("the torchvision of this environment works")
    assert "operator torchvision::nms does not exist" in result.stdout
    assert "Reinstall torchvision from the same place as torch" in result.stdout
