"""Weights from files and from a hub: every tensor arrives, at its place, or the file is refused."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic
from typing import Any, ClassVar

import huggingface_hub
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

import timm
from ushape.errors import ConfigError, DataError
from ushape.nets import weight_files
from ushape.nets.pretrained import load_pretrained
from ushape.nets.timm_encoder import TimmEncoder

MODELS = (
    "test_resnet",
    "convnext_atto",
    "mobilenetv3_small_050",
    "swin_tiny_patch4_window7_224",
)


def classifier(model: str, in_channels: int = 3) -> Any:
    """A whole model of timm with weights unlike fresh ones."""
    net = timm.create_model(model, pretrained=False, in_chans=in_channels)
    with torch.no_grad():
        for tensor in net.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(torch.rand_like(tensor) + 0.1)
    return net


def write(state: dict[str, Tensor], path: Path) -> str:
    if path.suffix == ".safetensors":
        save_file({name: t.contiguous() for name, t in state.items()}, path)
    else:
        torch.save(state, path)
    return str(path)


def features(model: str, net: Any, in_channels: int = 3) -> dict[str, Tensor]:
    """What timm itself makes of the weights, in its own extractor: the oracle."""
    extractor = timm.create_model(
        model,
        features_only=True,
        in_chans=in_channels,
        pretrained=True,
        pretrained_cfg_overlay={"state_dict": net.state_dict()},
        out_indices=TimmEncoder(model, in_channels=in_channels).net.feature_info.out_indices,
    )
    return dict(extractor.state_dict())


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("model", MODELS)
def test_every_tensor_arrives_where_timm_puts_it(model: str, suffix: str, tmp_path: Path) -> None:
    net = classifier(model)
    encoder = TimmEncoder(model, in_channels=3)
    load_pretrained(encoder, write(net.state_dict(), tmp_path / f"w{suffix}"))
    expected = features(model, net)
    found = {name.removeprefix("net."): t for name, t in encoder.state_dict().items()}
    assert found.keys() == expected.keys()
    assert [name for name in found if not torch.equal(found[name], expected[name])] == []


@pytest.mark.parametrize("in_channels", [1, 2, 4, 6])
@pytest.mark.parametrize("model", MODELS)
def test_the_first_convolution_gives_equal_channels_the_same_response(
    model: str, in_channels: int, tmp_path: Path
) -> None:
    path = write(TimmEncoder(model, in_channels=3).net.state_dict(), tmp_path / "w.safetensors")
    coloured = TimmEncoder(model, in_channels=3).eval()
    other = TimmEncoder(model, in_channels=in_channels).eval()
    load_pretrained(coloured, path)
    load_pretrained(other, path)
    grey = torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        expected = coloured(grey.expand(1, 3, 64, 64))
        found = other(grey.expand(1, in_channels, 64, 64))
    for one, two in zip(found, expected, strict=True):
        torch.testing.assert_close(one, two, atol=1e-3, rtol=1e-3)


def test_the_adapted_kernel_in_numbers(tmp_path: Path) -> None:
    net = classifier("resnet34")
    path = write(net.state_dict(), tmp_path / "w.pth")
    r, g, b = net.conv1.weight.detach().unbind(1)
    for in_channels, planes in {
        1: [r + g + b],
        2: [r + b / 2, g + b / 2],
        3: [r, g, b],
        4: [r / 2, g, b, r / 2],
    }.items():
        encoder = TimmEncoder("resnet34", in_channels=in_channels)
        load_pretrained(encoder, path)
        torch.testing.assert_close(encoder.net.conv1.weight.detach(), torch.stack(planes, 1))


def test_a_grey_file_fills_a_coloured_encoder(tmp_path: Path) -> None:
    net = classifier("test_resnet", in_channels=1)
    encoder = TimmEncoder("test_resnet", in_channels=3)
    load_pretrained(encoder, write(net.state_dict(), tmp_path / "w.safetensors"))
    expected = (
        net.conv1[0].weight if isinstance(net.conv1, torch.nn.Sequential) else net.conv1.weight
    )
    found = next(t for n, t in encoder.named_parameters() if t.ndim == 4)
    torch.testing.assert_close(found.detach(), expected.detach().expand_as(found) / 3)


@pytest.mark.parametrize(
    "prefix", ["module.", "encoder.", "backbone.", "module.encoder.", "_orig_mod.model."]
)
def test_words_of_wrappers_are_taken_off(prefix: str, tmp_path: Path) -> None:
    net = classifier("test_resnet")
    state = {f"{prefix}{name}": t for name, t in net.state_dict().items()}
    encoder = TimmEncoder("test_resnet", in_channels=3)
    load_pretrained(encoder, write(state, tmp_path / "w.safetensors"))
    expected = features("test_resnet", net)
    assert all(torch.equal(t, expected[n[4:]]) for n, t in encoder.state_dict().items())


@pytest.mark.parametrize("model", MODELS)
def test_an_encoder_s_own_state_dict_fills_another(model: str, tmp_path: Path) -> None:
    one, two = (TimmEncoder(model, in_channels=2) for _ in range(2))
    load_pretrained(two, write(one.state_dict(), tmp_path / "w.safetensors"))
    assert all(torch.equal(t, two.state_dict()[n]) for n, t in one.state_dict().items())


def test_a_classifier_of_other_classes_and_missing_counters_do_not_matter(tmp_path: Path) -> None:
    net = timm.create_model("test_resnet", num_classes=7)
    state = {n: t for n, t in net.state_dict().items() if not n.endswith("num_batches_tracked")}
    encoder = TimmEncoder("test_resnet", in_channels=3)
    load_pretrained(encoder, write(state, tmp_path / "w.safetensors"))
    headless = {n: t for n, t in state.items() if not n.startswith("fc.")}
    assert len(headless) == len(state) - 2
    load_pretrained(encoder, write(headless, tmp_path / "w.safetensors"))


def test_the_authors_names_are_translated(tmp_path: Path) -> None:
    """ConvNeXt's authors have one list of stages and one of downsamplings."""
    net = classifier("convnext_atto")
    state = {}
    for name, tensor in net.state_dict().items():
        name = name.replace("stem.", "downsample_layers.0.").replace("head.norm", "norm")
        name = name.replace("head.fc", "head").replace(".blocks.", ".")
        name = name.replace("conv_dw", "dwconv").replace("mlp.fc", "pwconv")
        if ".downsample." in name:
            stage = name.split(".")[1]
            name = name.replace(f"stages.{stage}.downsample", f"downsample_layers.{stage}")
        state[name] = tensor
    encoder = TimmEncoder("convnext_atto", in_channels=3)
    load_pretrained(encoder, write({"model": state}, tmp_path / "w.pth"))
    expected = features("convnext_atto", net)
    assert all(torch.equal(t, expected[n[4:]]) for n, t in encoder.state_dict().items())


def drop(state: dict[str, Tensor]) -> None:
    del state["layer2.0.conv1.weight"]


def add(state: dict[str, Tensor]) -> None:
    state["layer9.0.conv1.weight"] = torch.zeros(1)


def reshape(state: dict[str, Tensor]) -> None:
    state["layer1.0.conv1.weight"] = torch.zeros(8, 3, 1, 1)


def decoder(state: dict[str, Tensor]) -> None:
    for name in list(state):
        state[f"encoder.{name}"] = state.pop(name)
    state["decoder.weight"] = torch.zeros(1)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (drop, r"missing layer2\.0\.conv1\.weight\."),
        (add, r"unexpected layer9\.0\.conv1\.weight\."),
        (reshape, r"wrong shape layer1\.0\.conv1\.weight \(8, 3, 1, 1\) for \("),
        (decoder, "missing .* and .* more; unexpected .*encoder"),
    ],
)
@pytest.mark.parametrize("in_channels", [1, 3])
def test_what_does_not_fit_is_named_and_changes_nothing(
    damage: Any, said: str, in_channels: int, tmp_path: Path
) -> None:
    state = dict(classifier("test_resnet").state_dict())
    damage(state)
    encoder = TimmEncoder("test_resnet", in_channels=in_channels)
    before = {name: t.clone() for name, t in encoder.state_dict().items()}
    with pytest.raises(DataError, match=said) as caught:
        load_pretrained(encoder, write(state, tmp_path / "w.safetensors"))
    assert "w.safetensors do not fit test_resnet" in str(caught.value)
    assert all(torch.equal(t, before[name]) for name, t in encoder.state_dict().items())


def test_the_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    path = write(timm.create_model("resnet18").state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(DataError, match=r"missing layer1\.2\.conv1\.weight"):
        load_pretrained(TimmEncoder("resnet34", in_channels=3), path)
    path = write(timm.create_model("resnet34").state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(DataError, match=r"unexpected layer1\.2\.bn1\.bias"):
        load_pretrained(TimmEncoder("resnet18", in_channels=3), path)


def test_unknown_tags_are_refused_with_the_nearest() -> None:
    encoder = TimmEncoder("resnet34", in_channels=3)
    with pytest.raises(ConfigError, match=r"unknown weights of resnet34 'a1_in2k': did you mean"):
        load_pretrained(encoder, "a1_in2k")


def test_models_without_weights_say_so() -> None:
    encoder = TimmEncoder("vovnet39a", in_channels=3)
    with pytest.raises(ConfigError, match="timm publishes no weights of vovnet39a: give a file"):
        load_pretrained(encoder, "default")


def test_weights_that_are_only_on_another_server_name_it() -> None:
    encoder = TimmEncoder("legacy_seresnet18", in_channels=3)
    with pytest.raises(ConfigError, match=r"download https://.*\.pth and give the file"):
        load_pretrained(encoder, "in1k")


class Hub(BaseHTTPRequestHandler):
    """Serves one file the way the hub does."""

    content = b""
    asked: ClassVar[list[str]] = []

    def do_HEAD(self) -> None:
        self.asked.append(self.path)
        self.send_response(200)
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("ETag", f'"{hashlib.sha256(self.content).hexdigest()}"')
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        self.wfile.write(self.content)

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent."""


class Deaf(Hub):
    """Accepts every question and answers none."""

    released = threading.Event()

    def do_HEAD(self) -> None:
        self.released.wait(30)


@pytest.fixture
def hub(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ThreadingHTTPServer]:
    """A hub on this machine, with an empty cache."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), getattr(request, "param", Hub))
    server.daemon_threads = True
    constants = huggingface_hub.constants
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(
        constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        address + "/{repo_id}/resolve/{revision}/{filename}",
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    Deaf.released.set()
    server.shutdown()
    server.server_close()
    Deaf.released.clear()


@pytest.mark.parametrize("tag", ["", "default", "r160_in1k"])
def test_a_tag_is_fetched_once_and_then_kept(
    tag: str, hub: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = classifier("test_resnet")
    path = write(net.state_dict(), tmp_path / "w.safetensors")
    monkeypatch.setattr(Hub, "content", Path(path).read_bytes())
    monkeypatch.setattr(Hub, "asked", [])
    expected = features("test_resnet", net, in_channels=3)
    for _ in range(2):
        encoder = TimmEncoder("test_resnet", in_channels=3)
        load_pretrained(encoder, tag)
        assert all(torch.equal(t, expected[n[4:]]) for n, t in encoder.state_dict().items())
        asked = len(Hub.asked)
        hub.shutdown()
    files = {path for path in Hub.asked if "/resolve/" in path}
    assert files == {"/timm/test_resnet.r160_in1k/resolve/main/model.safetensors"}
    assert len(Hub.asked) == asked


@pytest.mark.parametrize("hub", [Deaf], indirect=True)
def test_a_hub_that_never_answers_is_given_up_soon(
    hub: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weight_files, "_TIMEOUT_S", 0.5)
    start = monotonic()
    with pytest.raises(ConfigError, match="cannot be fetched"):
        load_pretrained(TimmEncoder("test_resnet", in_channels=1), "r160_in1k")
    assert monotonic() - start < 10


def test_a_hub_that_is_not_there_leads_to_the_file(hub: ThreadingHTTPServer) -> None:
    hub.shutdown()
    hub.server_close()
    with pytest.raises(ConfigError) as caught:
        load_pretrained(TimmEncoder("test_resnet", in_channels=1), "r160_in1k")
    said = str(caught.value)
    assert said.startswith("the weights test_resnet.r160_in1k cannot be fetched (")
    url = f"{hub.server_port}/timm/test_resnet.r160_in1k/resolve/main/model.safetensors"
    assert f"{url} where there is a connection, and give the file, weights=PATH" in said
