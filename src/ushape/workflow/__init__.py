"""The workflows that join the packages below: plan and train a run, and write its report."""

from ushape.workflow.prepare import Prepared, plan
from ushape.workflow.run import Run, train
from ushape.workflow.wishes import Asks

__all__ = ["Asks", "Prepared", "Run", "plan", "train"]
