"""Writes docs/family.md and its pictures, from the catalogue: `make family`.

The counts that the page compares with stand in docs/family/paper_counts.json, measured speed in
benchmarks/network_speed.json. What cannot be known without timm (unet_backbone) is kept in
docs/family/unet_backbone.json and written anew where timm can be imported.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ushape.errors import ConfigError
from ushape.files import write_text
from ushape.nets import (
    CatalogEntry,
    NetworkSpec,
    describe,
    entries,
    figure_json,
    geometry_of,
    make_spec,
    spec_from_json,
    spec_to_json,
)
from ushape.nets.diagram import diagram_svg
from ushape.nets.drawing import count_text
from ushape.nets.parameters import count_parameters
from ushape.sizes import Size, format_size

DOCS = Path(__file__).resolve().parent
COUNTS = DOCS / "family" / "paper_counts.json"
BACKBONE = DOCS / "family" / "unet_backbone.json"
COSTS = DOCS / "family" / "costs.json"
SPEED = DOCS.parent / "benchmarks" / "network_speed.json"

FIGURES: dict[str, tuple[dict[str, Any], Size]] = {
    "unet_original": ({"classes": 2}, (572, 572)),
    "unet_3d": (
        {"in_channels": 3, "classes": 3, "padding": "valid", "norm": "none", "up_bias": False},
        (116, 132, 132),
    ),
    "unet_25d": ({}, (16, 128, 128)),
    "unet_branch": ({"classes": 3, "branch_classes": (2,)}, (256, 256)),
}
"""Options and size of the pictures: the papers', where they give them; else the defaults."""

INTRODUCTION = """# The family

Every network that `ushape models` lists, drawn from the specification that the network is built
from. Written by `make family`; do not edit.

Blue boxes are feature maps: as high as their resolution, as wide as (the logarithm of) their
channels, which stand above; sizes stand beside. White boxes are copies. *Trainable* parameters are
those with `requires_grad`; *all* also counts frozen ones and the two running statistics of every
batch-norm channel. Multiply-adds are those of convolutions and matrix products as computed here
(FLOPs are twice as many). Memory is that of maps in float32 for one image: *kept* for the backward
pass in training, and *alive at once* in prediction; weights, their gradients and the optimiser come
on top, and bf16 autocast needs about half. Sizes are in the order y, x; of volumes z, y, x.
"""


def family_files(costs: dict[str, Any]) -> dict[Path, str]:
    """Compose the page and the pictures.

    Args:
        costs: What `measured_costs` gives, by entry.
    """
    counts = json.loads(COUNTS.read_text(encoding="utf-8"))
    speed = json.loads(SPEED.read_text(encoding="utf-8")) if SPEED.exists() else {"entries": {}}
    files, sections = {}, []
    for entry in entries():
        spec, size = figure_spec(entry.name)
        files[DOCS / "family" / f"{entry.name}.svg"] = diagram_svg(spec, size)
        sections.append(_section(entry, spec, costs[entry.name], counts, speed))
    index = [f"- [`{entry.name}`](#{entry.name}): {entry.summary}" for entry in entries()]
    files[DOCS / "family.md"] = "\n".join([INTRODUCTION, *index, "", *sections])
    return files


def figure_spec(name: str) -> tuple[NetworkSpec, Size]:
    """Return the network and the size of an entry's picture."""
    if name == "unet_backbone":
        stored = json.loads(BACKBONE.read_text(encoding="utf-8"))
        return spec_from_json(stored["spec"]), tuple(stored["figure"]["size"])
    options, size = FIGURES.get(name, ({}, None))
    spec = make_spec(name, **options)
    return spec, size or describe(spec).size


def measured_costs(name: str) -> dict[str, Any]:
    """Measure what an entry's figure costs; takes seconds."""
    if name == "unet_backbone":
        stored = json.loads(BACKBONE.read_text(encoding="utf-8"))["figure"]
    else:
        spec, size = figure_spec(name)
        stored = figure_json(describe(spec, size, batch=1))
    kept = ("size", "output_size", "trainable_parameters", "all_parameters", "costs")
    return {key: stored[key] for key in kept}


def backbone_facts() -> dict[str, Any]:
    """Describe unet_backbone with its default encoder, which takes timm.

    Raises:
        ConfigError: timm cannot be imported.
    """
    spec = make_spec("unet_backbone")
    return {"spec": spec_to_json(spec), "figure": figure_json(describe(spec, batch=1))}


def _section(
    entry: CatalogEntry,
    spec: NetworkSpec,
    costs: dict[str, Any],
    counts: dict[str, Any],
    speed: dict[str, Any],
) -> str:
    dims = " and ".join(f"{dims}D" for dims in entry.spatial_dims)
    parts = [
        f"## {entry.name}",
        f"{entry.summary} ({dims})",
        f"![{entry.name}](family/{entry.name}.svg)",
        _caption(entry.name),
        entry.description,
        f"**Source.** {entry.source}",
        f"**Use.** {entry.use}",
        _facts(spec, costs),
        _counts_table(entry.name, counts["counts"]),
        _sizes_line(entry.name, counts["sizes"]),
        _speed_line(entry.name, speed),
        _options_table(entry),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _caption(name: str) -> str:
    options, _ = FIGURES.get(name, ({}, None))
    return f"*Drawn with {_options_text(options)}.*" if options else "*Drawn with the defaults.*"


def _facts(spec: NetworkSpec, costs: dict[str, Any]) -> str:
    figure = costs["costs"]
    size, output = costs["size"], costs["output_size"]
    least = geometry_facts(spec)
    return "\n".join(
        [
            "| figure as drawn | |",
            "|---|---|",
            f"| size | {format_size(size)} -> {format_size(output)} |",
            f"| parameters | {_number_pair(costs)} |",
            f"| multiply-adds | {count_text(figure['multiply_adds'])} |",
            f"| memory, training | {_mebibytes(figure['training']['float32'])} kept |",
            f"| memory, prediction | {_mebibytes(figure['prediction']['float32'])} alive at once |",
            *(f"| {name} | {text} |" for name, text in least.items()),
        ]
    )


def geometry_facts(spec: NetworkSpec) -> dict[str, str]:
    """Say which sizes a network takes, what it loses, and how far it sees."""
    geometry = geometry_of(spec)
    margin = " x ".join(str(before) for before, _ in geometry.margin)
    at_least = "" if geometry.is_local else "at least "
    sizes = "any"
    if not geometry.is_padding:
        axes = zip(geometry.smallest, geometry.total_stride, strict=True)
        texts = [f"{low} + {step} n" if low != step else f"{step} n" for low, step in axes]
        sizes = texts[0] if len(set(texts)) == 1 else " x ".join(texts)
    return {
        "input edges": sizes,
        "margin lost at each border": margin if geometry.is_trimming else "none",
        "receptive field": at_least + format_size(geometry.receptive_field),
    }


def _counts_table(name: str, counts: list[dict[str, Any]]) -> str:
    rows = []
    for count in (entry for entry in counts if entry["name"] == name):
        given = {"in_channels": count["in_channels"], "classes": count["classes"]}
        ours = count_parameters(make_spec(name, **given, **count["options"]))
        rows.append(
            f"| {count['what']} | {_options_text(given | count['options'])} "
            f"| {ours.trainable:,} | {ours.all:,} "
            f"| {count['trainable']:,} | {count['all']:,} | {count['checked_by']} |"
        )
    if not rows:
        return ""
    head = "| parameters | options | trainable | all | expected trainable | all | counted by |"
    return "\n".join([head, "|---|---|--:|--:|--:|--:|---|", *rows])


def _sizes_line(name: str, sizes: list[dict[str, Any]]) -> str:
    found = [
        f"{format_size(entry['input'])} -> {format_size(entry['output'])} ({entry['what']})"
        for entry in sizes
        if entry["name"] == name
    ]
    return f"Published sizes: {'; '.join(found)}." if found else ""


def _speed_line(name: str, speed: dict[str, Any]) -> str:
    found = speed["entries"].get(name)
    if found is None:
        return ""
    options = f", {_options_text(found['options'])}" if found["options"] else ""
    kinds = []
    for key, words in (("forward_ms", "forward"), ("train_ms", "training step")):
        times = ", ".join(f"{value:.0f} ms {kind}" for kind, value in found.get(key, {}).items())
        if times:
            kinds.append(f"{words} {times}")
    return (
        f"Speed on {speed['machine']}, torch {speed['torch']}, batch {found['batch']} of "
        f"{format_size(found['size'])}{options}: {'; '.join(kinds)}."
    )


def _options_table(entry: CatalogEntry) -> str:
    rows = [
        f"| `{option.name}` | `{option.default}` | {option.allowed} | {option.doc} |"
        for option in entry.options
    ]
    return "\n".join(["| option | default | allowed | meaning |", "|---|---|---|---|", *rows])


def _options_text(options: dict[str, Any]) -> str:
    return ", ".join(f"`{name}={value}`" for name, value in options.items())


def _number_pair(costs: dict[str, Any]) -> str:
    trainable, everything = costs["trainable_parameters"], costs["all_parameters"]
    if trainable == everything:
        return f"{trainable:,} trainable"
    return f"{trainable:,} trainable, {everything:,} all"


def _mebibytes(count: int) -> str:
    return f"{count / 2**20:,.0f} MiB"


def main() -> None:
    """Measure, and write everything."""
    try:
        facts = backbone_facts()
    except ConfigError as error:
        print(f"unet_backbone as it was: {error}")
    else:
        write_text(BACKBONE, json.dumps(facts, indent=1) + "\n")
    costs = {entry.name: measured_costs(entry.name) for entry in entries()}
    write_text(COSTS, json.dumps(costs, indent=1) + "\n")
    for path, text in family_files(costs).items():
        write_text(path, text)


if __name__ == "__main__":
    main()
