"""Compare predictions with the truth: scores by case, means with intervals, tables on disk.

Whatever the files are (`find` finds them, `read` reads them), a case becomes one mask a class on
one grid (`case`), and is measured by one path (`scoring`, `evaluation`, `measure`).
"""

from ushape.evaluate.case import CaseLabels, place_on
from ushape.evaluate.evaluation import evaluate_maps, evaluate_masks, summarise
from ushape.evaluate.files import evaluate_folders
from ushape.evaluate.find import files_of, find_source
from ushape.evaluate.read import LabelFiles, Reading, read_case
from ushape.evaluate.scores import CaseScores, Evaluation, Presence
from ushape.evaluate.scoring import CasePair, Scorer, choose_side, score_cases
from ushape.evaluate.settings import (
    OVERLAP_METRICS,
    REGION_METRICS,
    ScoreSettings,
    choose_metrics,
)
from ushape.evaluate.sources import LabelSource
from ushape.evaluate.tables import write_evaluation

__all__ = [
    "OVERLAP_METRICS",
    "REGION_METRICS",
    "CaseLabels",
    "CasePair",
    "CaseScores",
    "Evaluation",
    "LabelFiles",
    "LabelSource",
    "Presence",
    "Reading",
    "ScoreSettings",
    "Scorer",
    "choose_metrics",
    "choose_side",
    "evaluate_folders",
    "evaluate_maps",
    "evaluate_masks",
    "files_of",
    "find_source",
    "place_on",
    "read_case",
    "score_cases",
    "summarise",
    "write_evaluation",
]
