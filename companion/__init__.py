"""Companion package of the course "Pretrained Language Models: Objectives, Prompts, NER".

Follow one sentence through the modules, from left to right, and you have seen the course:
``corpora`` -> ``tokenization`` -> ``objectives`` -> ``pretraining`` -> ``checkpoints``
-> ``metrics``.
"""

__version__ = "0.1.0"
