"""Compare predictions with the truth: scores by case, means with intervals, tables on disk."""

from ushape.evaluate.evaluation import CaseScores, Evaluation, evaluate_maps, summarise
from ushape.evaluate.files import evaluate_folders, write_evaluation

__all__ = [
    "CaseScores",
    "Evaluation",
    "evaluate_folders",
    "evaluate_maps",
    "summarise",
    "write_evaluation",
]
