"""What fine-grained runs do besides: measure contacts of classes, and what wrong regions cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ushape.config.schema import FineConfig, PreprocessConfig
from ushape.data.contacts import count_contacts
from ushape.data.fine import Probabilities, join_passes, within_mask
from ushape.data.layouts import CaseFiles
from ushape.data.preprocess import read_sample
from ushape.data.sample import Sample
from ushape.data.targets import class_masks, likely_masks, void_mask
from ushape.evaluate.fine import ARMS, BoxCase, BoxScores, Masks, score_boxes, summarise_boxes
from ushape.plan import Fingerprint, Request
from ushape.plan.fine_rules import needs_contacts, small_classes
from ushape.predict import Predictor

MOST_CASES = 8
"""Cases whose labels are read again to see which class small ones lie beside."""


def with_contacts(
    fingerprint: Fingerprint, request: Request, cases: Sequence[CaseFiles]
) -> Fingerprint:
    """Measure which class small ones lie beside, if the plan has to guess it.

    Args:
        fingerprint: The data set.
        request: What a person asks for.
        cases: Of the data set; some that hold a small class are read.

    Raises:
        ConfigError: There are not two classes.
    """
    if not needs_contacts(request.settings, request.model):
        return fingerprint
    small = small_classes(request.settings, fingerprint)
    table = fingerprint.labels
    numbers = {table.names.index(name) for name in small if name in table.names}
    known = fingerprint.cases_classes
    holding = [case for case in cases if numbers & set(known.get(case.id, ()))]
    counts: Counter[str] = Counter()
    for case in holding[:: -(-len(holding) // MOST_CASES) or 1]:
        plain = PreprocessConfig(fingerprint.channels)
        target = read_sample(case, table, plain, align=request.align).target
        assert target is not None, "cases that hold a class are labelled"
        counts.update(count_contacts(target, table, [n for n in small if n in table.names]))
    return replace(fingerprint, contacts=dict(counts))


def compare_boxes(
    predictor: Predictor,
    samples: Sequence[Sample],
    fine: FineConfig,
    *,
    groups: Mapping[str, str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> BoxScores:
    """Find small classes in the regions of true masks and of predicted ones, and score both.

    Args:
        predictor: Of a fine-grained model.
        samples: Labelled validation cases, prepared as for training.
        fine: Its second pass.
        groups: By case, the subject it belongs to, where that is known; with several subjects
            whole ones are drawn for the intervals, as for the other scores.
        progress: Called with (cases done, cases in all).
    """
    known = {sample.id: (groups or {}).get(sample.id) for sample in samples}
    # One subject, or a single stack, leaves nothing to draw an interval from.
    has_groups = len({*known.values()} - {None}) > 1
    scored: list[BoxCase] = []
    for number, sample in enumerate(samples):
        group = known[sample.id] if has_groups else None
        scored.append(replace(_score(predictor, sample, fine), group=group))
        if progress:
            progress(number + 1, len(samples))
    return summarise_boxes(str(fine.within), fine.classes, scored)


def _score(predictor: Predictor, sample: Sample, fine: FineConfig) -> BoxCase:
    assert sample.target is not None, "only labelled cases can be scored"
    table, passes = predictor.labels, predictor.passes
    image = np.asarray(sample.image)
    both = passes.both(predictor.network, image)
    coarse = np.asarray(both.coarse, np.float32)
    mask = within_mask(sample.target, table, fine)
    second = {
        ARMS[0]: passes.within(predictor.network, image, mask),
        ARMS[1]: np.asarray(both.fine, np.float32),
    }
    rows = [table.names.index(name) - 1 for name in fine.classes]

    def small(found: Probabilities) -> Masks:
        joined = join_passes(coarse, found, table, fine)
        return likely_masks(joined, table, predictor.thresholds)[rows]

    return score_boxes(
        sample.id,
        {arm: small(found) for arm, found in second.items()},
        class_masks(sample.target, table)[rows],
        ignore=void_mask(sample.target, table),
    )
