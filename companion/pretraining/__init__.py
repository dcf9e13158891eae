"""Pretraining by recipe: one loop on Accelerate, exact resume, a log that can be plotted."""

from companion.pretraining.loop import pretrain
from companion.pretraining.recipe import Recipe

__all__ = ["Recipe", "pretrain"]
