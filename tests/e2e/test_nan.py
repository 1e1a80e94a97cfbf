"""A training whose weights become nan stops, and keeps what was good."""

from __future__ import annotations

import torch

from ushape.bundle import load_bundle


def test_a_training_that_diverges_stops_and_keeps_the_last_good_model(
    cli, tiny_data, tiny_network, tmp_path, monkeypatch
):
    import ushape.training.loop as loop

    take_step = loop.train_step

    def explode(fabric, network, optimizer, *rest, **options):
        value = take_step(fabric, network, optimizer, *rest, **options)
        explode.steps += 1
        if explode.steps == 12:
            with torch.no_grad():
                next(iter(network.parameters())).fill_(torch.nan)
        return value

    explode.steps = 0
    monkeypatch.setattr(loop, "train_step", explode)
    run = tmp_path / "run"

    result = cli("train", tiny_data, "--out", run, "--steps", 20, *tiny_network)

    assert result.code == 2
    assert "weights are nan or infinite" in result.error
    assert "optimizer.learning_rate (it was 0.01)" in result.error
    kept = load_bundle(run)
    assert kept.header.provenance["step"] == 10
    assert all(torch.isfinite(weight).all() for weight in kept.network.state_dict().values())
    state = torch.load(run / "fold_0" / "state.pt", weights_only=True)
    assert all(torch.isfinite(weight).all() for weight in state["network"].values())
