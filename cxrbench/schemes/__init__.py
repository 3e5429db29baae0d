"""Training schemes as data: the notation, the registry with the six, and the plan of distinct stage runs."""

from cxrbench.schemes.notation import INIT, Scheme, Stage, parse
from cxrbench.schemes.plan import Plan, StageRun, make_plan
from cxrbench.schemes.registry import SIX, Registry

__all__ = ["INIT", "SIX", "Plan", "Registry", "Scheme", "Stage", "StageRun", "make_plan", "parse"]
