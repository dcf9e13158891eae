"""Hints for the mistakes that are recognised in "Chinese NER data".

Every function gets a case and a wrong answer that already has the right kind and shape. It
returns one hint, or None. A mistake is recognised by its result, never by reading the code.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any

from torch import Tensor

from companion.exercises.compare import equal
from companion.exercises.old import Case


def _first(rules: Iterable[tuple[Any, str]]) -> str | None:
    """The hint of the first rule that holds."""
    return next((hint for holds, hint in rules if holds), None)


def _same_result(got: Any, wrong_results: Iterable[tuple[Any, str]]) -> str | None:
    """The hint of the wrong result that `got` is equal to."""
    return _first((equal(wrong, got), hint) for wrong, hint in wrong_results)


def _replaced(tags: list[str], places: dict[str, str]) -> list[str]:
    return [places.get(tag[0], tag[0]) + tag[1:] for tag in tags]


def write(case: Case, got: list[str]) -> str | None:
    """Hints for `tags-write`."""
    entities, length, right = case.given["entities"], case.given["length"], case.expected
    if len(got) != length:
        return f"there are {len(got)} tags; one for each of the {length} units is expected."
    one_late = ["O"] * (length + 1)
    for start, end, kind in entities:
        one_late[start : end + 1] = [f"B-{kind}", *[f"I-{kind}"] * (end - start - 1), f"E-{kind}"]
    return _same_result(got, [
        (_replaced(right, {"S": "B", "E": "I"}),
         "this is BIO. In BIOES the last unit has E-, and an entity of one unit has S-."),
        (_replaced(right, {"S": "B"}), "an entity of one unit has B-. It has its own mark, S-."),
        (_replaced(right, {"S": "E"}),
         "an entity of one unit has E-: its end was written over its beginning. It has S-."),
        (_replaced(right, {"B": "I", "E": "I", "S": "I"}),
         "this is IO: it does not say where an entity begins."),
        (one_late[:length],
         "every entity is one unit too long. `end` is the first unit behind the entity."),
        ([tag[0] for tag in right], "the types are missing: a tag is a place, a dash and a type."),
    ])


def _segments(tags: list[str]) -> list[tuple[int, int, str]]:
    """What belongs together when B- is read as I-."""
    found, at = [], 0
    for kind, group in groupby(tag[2:] for tag in tags):
        size = len(list(group))
        found += [(at, at + size, kind)] if kind else []
        at += size
    return found


def read(case: Case, got: list) -> str | None:
    """Hints for `tags-read`."""
    tags, right = case.given["tags"], case.expected
    legal = [e for e in right if tags[e[0]][0] == "B"]
    runs, at = [], 0
    for inside, group in groupby(tag != "O" for tag in tags):
        size = len(list(group))
        runs += [(at, at + size, tags[at][2:])] if inside else []
        at += size
    return _same_result(got, [
        (_segments(tags), "neighbours of one type became one entity. B- begins a new one."),
        (legal, "an I- that follows nothing of its type is lost. It begins an entity."),
        ([e for e in right if e[1] < len(tags)],
         "an entity that ends with the text is missing: no O comes after it."),
        ([(start, end - 1, kind) for start, end, kind in right],
         "the ends are one too small: `end` is the first unit behind the entity."),
        (_mixed(tags, right), "an I- of another type was taken into the entity before it. A new "
                              "type begins a new entity."),
        (runs, "all tagged units in a row became one entity. B- and a new type begin new ones."),
        ([(i, i + 1, tag[2:]) for i, tag in enumerate(tags) if tag != "O"],
         "each tagged unit became an entity. An I- goes on with the entity before it."),
        ([(kind, start, end) for start, end, kind in right],
         "an entity is (start, end, type), in this order."),
    ])


def _mixed(tags: list[str], right: list) -> list[tuple[int, int, str]]:
    """Entities when a change of type is overlooked."""
    found: list[tuple[int, int, str]] = []
    for start, end, kind in right:
        if found and found[-1][1] == start and tags[start][0] == "I":
            found[-1] = (found[-1][0], end, found[-1][2])
        else:
            found.append((start, end, kind))
    return found


def names(case: Case, got: list[str]) -> str | None:
    """Hints for `tags-names`."""
    words, tags, right = case.given["words"], case.given["tags"], case.expected
    persons = [word for word, tag in zip(words, tags, strict=True) if tag == "nr"]
    runs = ["".join(word for word, _ in group) for tag, group in
            groupby(zip(words, tags, strict=True), key=lambda pair: pair[1]) if tag == "nr"]
    every_pair = ["".join(persons[i : i + 2]) for i in range(0, len(persons), 2)]
    return _same_result(got, [
        (persons, "family name and given name are still two words. Join them."),
        (runs, "people in a row became one. A name ends with its given name."),
        ([name for name in right if name not in persons],
         "a name of one word is missing: a foreign name, or a family name alone."),
        ([name for name in right if len(name) > 1],
         "a family name that stands alone (江主席, President Jiang) is missing."),
        (every_pair, "two words were joined that do not stand side by side, or are no family "
                     "name and given name. Only a word of one character takes the next one."),
        (_next_word(words, tags),
         "the word behind a family name was taken although its tag is not nr."),
    ])


def _next_word(words: list[str], tags: list[str]) -> list[str]:
    found, i = [], 0
    while i < len(words):
        size = 2 if tags[i] == "nr" and len(words[i]) == 1 else 1
        found += ["".join(words[i : i + size])] if tags[i] == "nr" else []
        i += size
    return found


def tokens(case: Case, got: list[str]) -> str | None:
    """Hints for `tags-tokens`."""
    entities, offsets, right = case.given["entities"], case.given["offsets"], case.expected
    if len(got) != len(offsets):
        return f"there are {len(got)} tags; one for each of the {len(offsets)} tokens is expected."

    def tagged(inside, begins) -> list[str]:
        return [next((("B-" if begins(i, a, e) else "I-") + e[2] for e in entities
                      if inside(i, a, b, e)), "O") for i, (a, b) in enumerate(offsets)]

    first = {e: min(i for i, (a, b) in enumerate(offsets) if a < e[1] and b > e[0])
             for e in entities}
    return _same_result(got, [
        (tagged(lambda i, a, b, e: e[0] <= i < e[1], lambda i, a, e: i == e[0]),
         "the offsets were not used: an entity counts characters, and a token can be longer."),
        (_replaced(right, {"I": "B"}),
         "every token of an entity has B-. Only the first one begins it."),
        (_replaced(right, {"B": "I"}), "no token has B-. The first one of an entity begins it."),
        (tagged(lambda i, a, b, e: e[0] <= a and b <= e[1], lambda i, a, e: i == first[e]),
         "a token that is only partly inside an entity got O. An entity gets every token that it "
         "shares a character with."),
        (tagged(lambda i, a, b, e: e[0] <= a < e[1], lambda i, a, e: a == e[0]),
         "a token got O although the entity begins inside it. Compare both ends of the token."),
        (tagged(lambda i, a, b, e: a < e[1] and b > e[0], lambda i, a, e: a == e[0]),
         "an entity that begins inside a token has no B-. Its first token begins it, wherever "
         "the token starts."),
        (tagged(lambda i, a, b, e: a <= e[1] and b >= e[0], lambda i, a, e: i == first[e]),
         "a token that only touches an entity got its tag. They must share a character."),
    ])


def f1(case: Case, got: Any) -> str | None:
    """Hints for `tags-f1`."""
    true, found = case.given["true"], case.given["found"]
    value = float(got.detach() if isinstance(got, Tensor) else got)
    right = sum(len(set(a) & set(b)) for a, b in zip(true, found, strict=True))
    wanted, made = sum(map(len, true)), sum(map(len, found))

    def places(rows: list) -> list[set]:
        return [{e[:2] for e in row} for row in rows]

    typeless = sum(len(a & b) for a, b in zip(places(true), places(found), strict=True))
    pooled = len({e for row in true for e in row} & {e for row in found for e in row})
    overlap = sum(any(a[0] < b[1] and b[0] < a[1] and a[2] == b[2] for b in made_here)
                  for row, made_here in zip(true, found, strict=True) for a in row)
    each = [2 * len(set(a) & set(b)) / (len(a) + len(b)) if a or b else 0.0
            for a, b in zip(true, found, strict=True)]
    both = wanted + made
    return _same_result(value, [
        (right / made if made else -1.0,
         "this is precision: it does not fall when entities are missed."),
        (right / wanted, "this is recall: it does not fall when entities are invented."),
        (2 * typeless / both, "entities of another type were counted as right."),
        (2 * pooled / both, "an entity was compared with those of other sentences. Offsets count "
                            "within one sentence."),
        (2 * overlap / both, "entities that only share a character were counted as right."),
        (sum(each) / len(each), "this is the mean of the sentences' F1. Count over all sentences "
                                "first, and divide once."),
        ((right / made + right / wanted) / 2 if made else -1.0,
         "this is the arithmetic mean of precision and recall. F1 is the harmonic one."),
        (right / (both - right), "this is the share of right ones among all that are true or "
                                 "found (the Jaccard index)."),
        (right / both, "the factor 2 is missing."),
        (1.0 if not right else -1.0, "F1 is 0 when nothing is right."),
    ])
