"""What can be said about timm's encoders where timm is missing or broken."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ushape.errors import ConfigError
from ushape.nets.timm_encoder import TimmEncoder, published


@pytest.fixture
def broken_timm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest):
    """A package timm whose import fails with the given statement."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "timm"]:
        monkeypatch.delitem(sys.modules, name)
    (tmp_path / "timm").mkdir()
    (tmp_path / "timm" / "__init__.py").write_text(request.param, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)


def test_a_missing_timm_is_named_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ConfigError, match=r'not installed: pip install "ushape\[timm\]"$'):
        published("resnet34")
    with pytest.raises(ConfigError, match="not installed"):
        TimmEncoder("resnet34", in_channels=1)


@pytest.mark.parametrize(
    "broken_timm",
    ["raise RuntimeError('operator torchvision::nms does not exist')"],
    indirect=True,
)
@pytest.mark.usefixtures("broken_timm")
def test_a_torchvision_of_another_torch_is_explained() -> None:
    with pytest.raises(ConfigError, match=r"torchvision::nms does not exist") as caught:
        published("resnet34")
    assert "torchvision was built for another torch than" in str(caught.value)
    assert "Reinstall torchvision from the same place as torch" in str(caught.value)
    assert isinstance(caught.value.__cause__, RuntimeError)


@pytest.mark.parametrize("broken_timm", ["import huggingface_hub_that_is_missing"], indirect=True)
@pytest.mark.usefixtures("broken_timm")
def test_what_timm_lacks_is_not_called_a_missing_timm() -> None:
    with pytest.raises(ConfigError, match="installed but cannot be imported") as caught:
        published("resnet34")
    assert "No module named 'huggingface_hub_that_is_missing'" in str(caught.value)


@pytest.mark.parametrize("broken_timm", ["__version__ = '1.0.9'"], indirect=True)
@pytest.mark.usefixtures("broken_timm")
def test_an_old_timm_is_named_with_the_version_to_get() -> None:
    with pytest.raises(ConfigError, match=r'timm 1\.0\.9 is too old .* "timm>=1\.0\.21"$'):
        published("resnet34")
