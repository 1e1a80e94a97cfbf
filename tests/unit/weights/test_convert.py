"""Files that fit are loaded exactly; files that do not are refused at the layer that differs."""

import numpy as np
import pytest
import torch
from hand_made import build, functional, rows_of, write_archive, write_new, write_old

import ushape
from ushape.errors import ConfigError, DataError
from ushape.weights import convert_weights, keras_file

HOME = "encoder.x_0_0.block.0"


def write(form, path, rows):
    if form == "old":
        return write_old(path / "m.h5", rows)
    if form == "old with configuration":
        return write_old(path / "m.h5", rows, config=functional(rows), suffix="")
    if form == "archive":
        return write_archive(path / "m.keras", rows, functional(rows))
    return write_new(path / "m.weights.h5", rows, has_names=form != "new without names")


FORMS = ["old", "old with configuration", "new", "new without names", "archive"]


def changed(rows, name, **arrays):
    """Replace arrays of the row of that name; None removes one."""
    found = [(n, s, {**a, **arrays} if n == name else a) for n, s, a in rows]
    return [(n, s, {k: v for k, v in a.items() if v is not None}) for n, s, a in found]


def without(rows, name):
    return [row for row in rows if row[0] != name]


def refusal(form, path, rows, network):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(DataError) as error:
        convert_weights(write(form, path, rows), network)
    after = network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    return str(error.value)


@pytest.mark.parametrize("form", FORMS)
def test_every_weight_comes_where_it_belongs(form, tmp_path, rows, network):
    done = convert_weights(write(form, tmp_path, rows), network)
    state = network.state_dict()
    # Eleven convolutions, two transposed ones, ten norms: `conv2d_10` stands after `conv2d_9`.
    assert len(done.matches) == len(rows) == 23
    for (name, ours), (row, _, arrays) in zip(done.matches, rows, strict=True):
        assert name == row
        if "kernel" in arrays:
            kernel = arrays["kernel"].transpose(3, 2, 0, 1)
            np.testing.assert_array_equal(state[f"{ours}.weight"], kernel)
            np.testing.assert_array_equal(state[f"{ours}.bias"], arrays["bias"])
        else:
            np.testing.assert_array_equal(state[f"{ours}.weight"], arrays["gamma"])
            np.testing.assert_array_equal(state[f"{ours}.bias"], arrays["beta"])
            np.testing.assert_array_equal(state[f"{ours}.running_mean"], arrays["moving_mean"])
            wanted = arrays["moving_variance"] + (1e-3 - 1e-5)
            np.testing.assert_allclose(state[f"{ours}.running_var"], wanted, rtol=1e-7)


def test_batch_norm_computes_what_keras_computes(tmp_path):
    network = build()
    rows = rows_of(network)
    convert_weights(write("new", tmp_path, rows), network)
    norm = network.get_submodule(f"{HOME}.norm")
    arrays = next(arrays for name, _, arrays in rows if name == "batch_normalization")
    x = np.random.default_rng(1).normal(size=(4, 2, 3, 3))
    g, b, m, v = (a.reshape(1, 2, 1, 1).astype(np.float64) for a in arrays.values())
    wanted = g * (x - m) / np.sqrt(v + 1e-3) + b
    found = norm(torch.from_numpy(x).float()).detach()
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("given", "said", "taken"), [(None, None, 1e-3), (None, 0.5, 0.5), (0.25, 0.5, 0.25)]
)
def test_epsilon_is_that_of_the_caller_then_of_the_file(
    given, said, taken, tmp_path, rows, network
):
    settings = {} if said is None else {n: {"epsilon": said} for n, s, _ in rows if "norm" in s}
    path = write_archive(tmp_path / "m.keras", rows, functional(rows, **settings))
    done = convert_weights(path, network, epsilon=given)
    variance = next(a for n, _, a in rows if n == "batch_normalization")["moving_variance"]
    found = network.get_submodule(f"{HOME}.norm").running_var
    np.testing.assert_allclose(found, variance + taken - 1e-5, rtol=1e-6)
    assert any("epsilon" in note for note in done.notes) == (given is None and said is None)


@pytest.mark.parametrize("form", FORMS)
def test_a_wrong_shape_is_refused_with_both_layers_and_shapes(form, tmp_path, rows, network):
    text = refusal(form, tmp_path, changed(rows, "conv2d_2", kernel=np.ones((3, 3, 2, 5))), network)
    name = "conv2d_2"
    for part in (name, "3x3x2x5", "encoder.x_1_0.block.0.conv", "3x3x2x4", "ushape models"):
        assert part in text
    if form in ("old with configuration", "archive"):
        assert "layer 5 (of 23 in the file, 23 in the network)" in text
    else:
        assert "convolution 3 (of " in text


@pytest.mark.parametrize("form", FORMS)
def test_a_missing_layer_is_named(form, tmp_path, rows, network):
    last = rows[-1][0]
    text = refusal(form, tmp_path, without(rows, last), network)
    assert "missing is heads.x_0_2" in text


@pytest.mark.parametrize("form", FORMS)
def test_a_surplus_layer_is_named(form, tmp_path, rows, network):
    surplus = ("conv2d_99", "conv2d", {"kernel": np.ones((1, 1, 1, 1)), "bias": np.ones(1)})
    text = refusal(form, tmp_path, [*rows, surplus], network)
    assert "conv2d_99" in text or "conv2d_11" in text
    assert "left over" in text


def test_layers_in_another_order_are_refused_where_the_order_is_known(tmp_path, rows, network):
    """Norm before convolution: every shape fits, the network is another one."""
    moved = [rows[0], rows[1], rows[3], rows[2], *rows[4:]]
    assert moved[2][1] == "batch_normalization"
    text = refusal("archive", tmp_path, moved, network)
    assert "layer 3" in text
    assert "'batch_normalization_1'" in text


def test_a_transposed_convolution_is_no_convolution(tmp_path, rows):
    text = refusal("new", tmp_path, rows, build(up="nearest"))
    assert "transposed convolution 1 (of 2 in the file, 0 in the network)" in text
    assert "'conv2d_transpose'" in text


def test_names_of_the_users_own_are_read_by_their_weights(tmp_path, rows, network):
    """Old files without a configuration do not say what `my_7` is."""
    own = [(f"my_{n}", stem, arrays) for n, (_, stem, arrays) in enumerate(rows)]
    done = convert_weights(write("old", tmp_path, own), network)
    assert [name for name, _ in done.matches] == [name for name, _, _ in own]


def test_a_shortcut_before_or_after_its_block_is_told_by_shape(tmp_path):
    network = build(residual=True, up="nearest")
    rows = rows_of(network)
    kernels = [row[2].get("kernel") for row in rows]
    place = next(n for n, k in enumerate(kernels) if k is not None and k.shape[:2] == (1, 1))
    moved = [rows[place], *rows[:place], *rows[place + 1 :]]
    done = convert_weights(write("archive", tmp_path, moved), network)
    assert dict(done.matches)[rows[place][0]] == "encoder.x_0_0.block.shortcut"
    assert not any("ambiguous" in note for note in done.notes)


def test_what_shapes_cannot_tell_is_said(tmp_path):
    """With 1x1 kernels a shortcut looks like the first convolution of its block."""
    network = build(residual=True, kernel_size=1, up="nearest")
    rows = rows_of(network)
    done = convert_weights(write("archive", tmp_path, rows), network)
    assert [name for name, _ in done.matches] == [name for name, _, _ in rows]
    notes = [note for note in done.notes if note.startswith("ambiguous")]
    assert "encoder.x_0_0.block.body.0.conv, encoder.x_0_0.block.shortcut" in notes[0]


def test_a_layer_without_bias_or_scale_gets_neutral_ones(tmp_path, rows, network):
    rows = changed(rows, "conv2d", bias=None)
    rows = changed(rows, "batch_normalization", gamma=None)
    settings = {"batch_normalization": {"scale": False, "center": True}}
    path = write_archive(tmp_path / "m.keras", rows, functional(rows, **settings))
    beta = rows[1][2]["beta"]
    done = convert_weights(path, network)
    state = network.state_dict()
    assert not state[f"{HOME}.conv.bias"].any()
    assert (state[f"{HOME}.norm.weight"] == 1).all()
    np.testing.assert_array_equal(state[f"{HOME}.norm.bias"], beta)
    assert any("no bias" in note for note in done.notes)


def test_three_weights_of_a_norm_need_a_configuration(tmp_path, rows, network):
    rows = changed(rows, "batch_normalization", gamma=None)
    assert "scale or centre" in refusal("new", tmp_path, rows, network)


def test_another_stride_is_refused_although_the_weights_fit(tmp_path, rows, network):
    path = write_archive(tmp_path / "m.keras", rows, functional(rows, conv2d_1={"strides": [2, 2]}))
    with pytest.raises(DataError, match=r"'conv2d_1' has strides \(2, 2\), encoder.x_0_0"):
        convert_weights(path, network)


def test_depthwise_layers_of_keras_go_to_grouped_convolutions(tmp_path):
    options = {"width": 2, "levels": 3}
    network = ushape.build("vnet_3d_depthwise", **options).eval()
    layers = keras_layers_of(network)
    path = write_new(tmp_path / "m.weights.h5", layers)
    done = convert_weights(path, network)
    state = network.state_dict()
    found = dict(done.matches)
    count = 0
    for name, stem, arrays in layers:
        if stem == "depthwise_conv2d":
            kernel = arrays["kernel"]
            count += 1
            np.testing.assert_array_equal(
                state[f"{found[name]}.weight"][:, 0], np.moveaxis(kernel[..., 0], -1, 0)
            )
    assert count == 6


def keras_layers_of(network):
    """As `rows_of`, depthwise convolutions as Keras's DepthwiseConv layers store them."""
    rows, depthwise = [], 0
    for name, stem, arrays in rows_of(network):
        kernel = arrays.get("kernel")
        if kernel is not None and kernel.shape[-2] == 1 and kernel.shape[0] == 3 and rows:
            name, stem = f"depthwise_{depthwise}", "depthwise_conv2d"
            arrays = {**arrays, "kernel": np.swapaxes(kernel, -1, -2)}
            depthwise += 1
        rows.append((name, stem, arrays))
    return rows


@pytest.mark.parametrize("form", FORMS)
def test_slopes_of_every_pixel_are_refused(form, tmp_path):
    network = ushape.build("vnet_2d", width=2, levels=3).eval()
    rows = changed(rows_of(network), "p_re_lu_1", alpha=np.ones((16, 16, 4)))
    text = refusal(form, tmp_path, rows, network)
    assert "'p_re_lu_1' has one slope for every pixel (16, 16, 4)" in text
    assert "shared_axes" in text


@pytest.mark.parametrize("shape", [(1, 1, 2), (2, 1, 1), (2,)])
def test_slopes_of_every_channel_are_taken(shape, tmp_path):
    network = ushape.build("vnet_2d", width=2, levels=3).eval()
    rows = changed(rows_of(network), "p_re_lu", alpha=np.float32([0.25, 0.75]).reshape(shape))
    convert_weights(write("new", tmp_path, rows), network)
    assert network.get_submodule("encoder.x_0_0.block.body.0.activation").weight.tolist() == [
        0.25,
        0.75,
    ]


def test_layers_of_other_kinds_are_refused_by_name(tmp_path, rows, network):
    rows = [*rows, ("scores", "dense", {"kernel": np.ones((8, 2)), "bias": np.ones(2)})]
    for form in FORMS:
        text = refusal(form, tmp_path, rows, network)
        assert "'scores'" in text or "'dense'" in text or "(1, 1)" in text


def test_values_that_are_not_finite_are_refused(tmp_path, rows, network):
    bad = np.full(2, np.nan)
    assert "not finite" in refusal("new", tmp_path, changed(rows, "conv2d", bias=bad), network)


def test_without_h5py_the_message_says_what_to_install(monkeypatch, tmp_path, network):
    monkeypatch.setattr(keras_file, "h5py", None)
    with pytest.raises(ConfigError, match=r"pip install 'ushape\[keras\]'"):
        convert_weights(tmp_path / "m.h5", network)
