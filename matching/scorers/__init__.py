"""Scorers turn channel scores into a ranking; all keep the promises of `base.Scorer`."""

from matching.scorers.base import Scorer, Sheet, Verdict
from matching.scorers.calibrated import CalibratedScorer
from matching.scorers.efi_v2 import EfiV2Scorer

__all__ = ["CalibratedScorer", "EfiV2Scorer", "Scorer", "Sheet", "Verdict"]
