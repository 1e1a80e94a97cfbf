"""The workflows that join the packages below: plan and train a run, and write its report."""

from ushape.workflow.run import Prepared, Run, plan, train

__all__ = ["Prepared", "Run", "plan", "train"]
