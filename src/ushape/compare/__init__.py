"""Compare two methods on the same cases: paired differences, in numbers, words and a picture."""

from ushape.compare.paired import Comparison, Row, compare_tables
from ushape.compare.scores import ScoreTable, load_scores, table_of
from ushape.compare.tables import write_comparison
from ushape.compare.words import main_rows, sentence, table_lines

__all__ = [
    "Comparison",
    "Row",
    "ScoreTable",
    "compare_tables",
    "load_scores",
    "main_rows",
    "sentence",
    "table_lines",
    "table_of",
    "write_comparison",
]
