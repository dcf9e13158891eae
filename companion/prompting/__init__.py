"""Prompt learning: a masked LM answers questions that are written as gaps."""

from companion.prompting.article import Prompting
from companion.prompting.classifier import PromptClassifier
from companion.prompting.ensemble import Ensemble
from companion.prompting.heads import HeadClassifier, head_tuning
from companion.prompting.template import Encoded, Template
from companion.prompting.training import Budget
from companion.prompting.tuning import tune
from companion.prompting.verbalizer import Verbalizer

__all__ = ["Budget", "Encoded", "Ensemble", "HeadClassifier", "PromptClassifier", "Prompting",
           "Template", "Verbalizer", "head_tuning", "tune"]
