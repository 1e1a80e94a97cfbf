"""A network's figure as a picture, in the manner of the papers. No torch.

Blue boxes are maps, as high as their resolution and as wide as their channels; white ones are
copies. `boxes` says of what a node consists, `layout` where it stands, `maps`, `ways` and `outputs`
draw on a `scene`, `legend` explains.
"""

from __future__ import annotations

from ushape.nets.diagram.layout import lay_out
from ushape.nets.diagram.legend import draw_legend
from ushape.nets.diagram.maps import draw_backbone, draw_group, draw_image
from ushape.nets.diagram.outputs import draw_outputs
from ushape.nets.diagram.scene import Scene, short_size
from ushape.nets.diagram.ways import draw_skips, draw_way_to
from ushape.nets.geometry import geometry_of
from ushape.nets.spec import NetworkSpec
from ushape.sizes import Size

__all__ = ["diagram_svg"]


def diagram_svg(spec: NetworkSpec, size: Size) -> str:
    """Draw a network at an input size.

    Args:
        spec: The network.
        size: Spatial size, which must pass.

    Returns:
        The text of an SVG file with a white ground.

    Raises:
        ShapeError: The size cannot pass.

    >>> from ushape.nets import make_spec
    >>> "388²" in diagram_svg(make_spec("unet_original"), (572, 572))
    True
    """
    geometry = geometry_of(spec)
    scene = Scene(spec, geometry, size, lay_out(spec, geometry, size))
    if spec.backbone is not None:
        draw_backbone(scene)
    draw_image(scene)
    for group in scene.layout.groups.values():
        draw_group(scene, group)
        draw_way_to(scene, group)
        draw_skips(scene, group)
    draw_outputs(scene)
    result = short_size(geometry.output_size(size))
    title = f"{spec.name}: {spec.in_channels} @ {short_size(size)} → {spec.classes} @ {result}"
    scene.canvas.text((scene.left, -18), title, size=16, anchor="start", is_bold=True)
    draw_legend(scene.canvas, spec, geometry, left=scene.left)
    return scene.canvas.to_svg(title)
