"""From a data set (`fingerprint`) to the settings of a run (`rules`) and its cases (`split`)."""

from ushape.plan.fingerprint import Fingerprint, class_fractions, settle_wish, take_fingerprint
from ushape.plan.measure import measure_for, measure_speed
from ushape.plan.request import Plan, Request
from ushape.plan.rules import plan_run
from ushape.plan.speed import Speed
from ushape.plan.split import Split, split_cases

__all__ = [
    "Fingerprint",
    "Plan",
    "Request",
    "Speed",
    "Split",
    "class_fractions",
    "measure_for",
    "measure_speed",
    "plan_run",
    "settle_wish",
    "split_cases",
    "take_fingerprint",
]
