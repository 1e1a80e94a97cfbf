"""Compare predictions with the truth: scores by case, means with intervals, tables on disk."""

from ushape.evaluate.evaluation import evaluate_maps, evaluate_masks, summarise
from ushape.evaluate.files import evaluate_folders
from ushape.evaluate.scores import CaseScores, Evaluation, Presence
from ushape.evaluate.settings import OVERLAP_METRICS, ScoreSettings, choose_metrics
from ushape.evaluate.sources import LabelFile, Reader, read_picture
from ushape.evaluate.tables import write_evaluation

__all__ = [
    "OVERLAP_METRICS",
    "CaseScores",
    "Evaluation",
    "LabelFile",
    "Presence",
    "Reader",
    "ScoreSettings",
    "choose_metrics",
    "evaluate_folders",
    "evaluate_maps",
    "evaluate_masks",
    "read_picture",
    "summarise",
    "write_evaluation",
]
