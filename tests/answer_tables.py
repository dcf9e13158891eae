"""Tables of answers to exercises, filled by decorators in `exercises_mutants/CHAPTER.py`."""

from collections import defaultdict


def tables():
    """Three empty tables, exercise id -> list of (phrase, function), and their decorators.

    MUTANTS: wrong answers; the check must reject each with a hint that contains the phrase.
    STOPPED: answers that raise an exception; the phrase stands in the message.
    RIGHT: right answers written in another way than the solution; the phrase names the way.
    """
    filled = [defaultdict(list) for _ in range(3)]

    def decorator(table):
        def register(exercise_id, phrase):
            return lambda function: table[exercise_id].append((phrase, function)) or function
        return register

    return (*filled, *map(decorator, filled))
