"""From a data set (`fingerprint`) to the settings of a run (`rules`) and its cases (`split`)."""

from ushape.plan.fingerprint import Fingerprint, class_fractions, settle_wish, take_fingerprint
from ushape.plan.rules import Plan, Request, plan_run
from ushape.plan.split import Split, split_cases

__all__ = [
    "Fingerprint",
    "Plan",
    "Request",
    "Split",
    "class_fractions",
    "plan_run",
    "settle_wish",
    "split_cases",
    "take_fingerprint",
]
