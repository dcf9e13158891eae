"""The exercises of the chapter "Chinese NER data". An entity is `(start, end, type)` there."""

import re
from itertools import groupby

from companion.exercises.exercise import case, exercise


# An entity of three units, of one, of two; two touch; one is last.
@exercise("tags-write", "the tags", "every entity has its own beginning and its own end.", cases=[
    case([(1, 4, "PER"), (5, 6, "LOC"), (6, 8, "LOC")], 9,
         expected="O B-PER I-PER E-PER O S-LOC B-LOC E-LOC O".split()),
    case([(0, 1, "ORG"), (2, 6, "ORG")], 6, expected="S-ORG O B-ORG I-ORG I-ORG E-ORG".split()),
    case([], 2, expected=["O", "O"])])
def bioes_tags(entities: list[tuple[int, int, str]], length: int) -> list[str]:
    """Write entities as BIOES tags.

    entities: (start, end, type) with 0 <= start < end <= length; none overlap.
    length: how many units (characters) the text has.
    Returns one tag for each unit: S-type for an entity of one unit; B-type, I-type, E-type
    for the first, the inner and the last unit of a longer one; "O" elsewhere.

    Example: bioes_tags([(0, 2, "PER"), (3, 4, "LOC")], 4)
    returns ["B-PER", "E-PER", "O", "S-LOC"].
    """
    tags = ["O"] * length
    for start, end, kind in entities:
        inner = end - start - 2
        places = ["S"] if inner < 0 else ["B", *["I"] * inner, "E"]
        tags[start:end] = [f"{place}-{kind}" for place in places]
    return tags


def _with(**places):
    """The right tags with other marks."""
    return lambda *given: [places.get(tag[0], tag[0]) + tag[1:] for tag in bioes_tags(*given)]


bioes_tags.mistakes(
    ("this is BIO. In BIOES the last unit has E-, and an entity of one unit has S-.",
     _with(S="B", E="I")),
    ("an entity of one unit has B-. It has its own mark, S-.", _with(S="B")),
    ("an entity of one unit has E-: its end was written over its beginning. It has S-.",
     _with(S="E")),
    ("this is IO: it does not say where an entity begins.", _with(B="I", E="I", S="I")),
    ("every entity is one unit too long. `end` is the first unit after the entity.",
     lambda entities, n: bioes_tags([(a, b + 1, kind) for a, b, kind in entities], n + 1)[:n]),
    ("the types are missing: a tag is a place, a dash and a type.",
     lambda *given: [tag[0] for tag in bioes_tags(*given)]))
bioes_tags.also_right(lambda entities, length: [next((
    "IBES"[(i == a) + 2 * (i == b - 1)] + "-" + kind
    for a, b, kind in entities if a <= i < b), "O") for i in range(length)])


# Neighbours of a type, an I- alone, a change of type, one at the end.
@exercise("tags-read", "the entities",
          "no tagged unit is lost, and illegal sequences are repaired.",
          cases=[case("O B-PER I-PER B-PER O I-LOC I-LOC O B-LOC I-ORG I-ORG".split(), expected=[
                     (1, 3, "PER"), (3, 4, "PER"), (5, 7, "LOC"), (8, 9, "LOC"), (9, 11, "ORG")]),
                 case("I-LOC I-PER O B-LOC B-LOC I-LOC O".split(), expected=[
                     (0, 1, "LOC"), (1, 2, "PER"), (3, 4, "LOC"), (4, 6, "LOC")]),
                 case(["O", "O"], expected=[])])
def read_bio(tags: list[str]) -> list[tuple[int, int, str]]:
    """Read the entities of a BIO sequence; repair what is illegal.

    tags: "O", "B-type" or "I-type", in any order.
    An I- that does not continue an entity of its own type begins one. An entity ends where
    the next tag does not continue it.
    Returns (start, end, type) of each entity, in the order of the text; end is not included.

    Example: read_bio(["I-PER", "I-PER", "I-LOC", "O"])
    returns [(0, 2, "PER"), (2, 3, "LOC")].
    """
    found, before = [], "O"
    for i, tag in enumerate(tags):
        place, _, kind = tag.partition("-")
        if place == "I" and before[2:] == kind:
            found[-1] = (found[-1][0], i + 1, kind)
        elif place != "O":
            found.append((i, i + 1, kind))
        before = tag
    return found


def _reader(begins):
    def read(tags):
        found, before = [], ""
        for i, tag in enumerate(tags):
            if tag != "O" and (not before or begins(tag, before)):
                found.append((i, i + 1, tag[2:]))
            elif tag != "O":
                found[-1] = (found[-1][0], i + 1, before)
            before = "" if tag == "O" else found[-1][2]
        return found
    return read


read_bio.also_right(_reader(lambda tag, before: tag[0] == "B" or tag[2:] != before))
read_bio.mistakes(
    ("neighbours of one type became one entity. B- begins a new one.",
     _reader(lambda tag, before: tag[2:] != before)),
    ("an I- that follows nothing of its type is lost. It begins an entity.",
     lambda tags: [e for e in read_bio(tags) if tags[e[0]][0] == "B"]),
    ("an entity that ends with the text is missing: no O comes after it.",
     lambda tags: [e for e in read_bio(tags) if e[1] < len(tags)]),
    ("the ends are one too small: `end` is the first unit after the entity.",
     lambda tags: [(start, end - 1, kind) for start, end, kind in read_bio(tags)]),
    ("an I- of another type was taken into the entity before it. A new type begins a new entity.",
     _reader(lambda tag, before: tag[0] == "B")),
    ("all tagged units in a row became one entity. B- and a new type begin new ones.",
     _reader(lambda *_: False)),
    ("each tagged unit became an entity. An I- continues the entity before it.",
     _reader(lambda *_: True)),
    ("an entity is (start, end, type), in this order.",
     lambda tags: [(kind, start, end) for start, end, kind in read_bio(tags)]))


# People in a row, a family name alone, a foreign name.
@exercise("tags-names", "the names", "every person is one name, also with others in a row.", cases=[
    case("周 恩来 、 李 鹏 吴 邦国 和 江 主席 见 克林顿".split(),
         "nr nr w nr nr nr nr c nr n v nr".split(),
         expected="周恩来 李鹏 吴邦国 江 克林顿".split()),
    case("记者 赵 志文 王 桦 在 北京 见 安南".split(),
         "n nr nr nr nr p ns v nr".split(),
         expected="赵志文 王桦 安南".split()),
    case(["安南", "说", "王"], ["nr", "v", "nr"], expected=["安南", "王"])])
def people_of(words: list[str], tags: list[str]) -> list[str]:
    """List the persons of a line of the newspaper.

    words, tags: the words and their part-of-speech tags; neither may be modified.
    A word with the tag "nr" is a person or a part of one. If it has one character, it is a
    family name, and the next word belongs to it if that has the tag "nr" too.
    Returns the names in the order of the text, also repeated ones.

    Example: people_of(["江", "泽民", "见", "安南"], ["nr", "nr", "v", "nr"])
    returns ["江泽民", "安南"].
    """
    names, open_family = [], False
    for word, tag in zip(words, tags):
        if tag == "nr" and open_family:
            names[-1] += word
        elif tag == "nr":
            names.append(word)
        open_family = tag == "nr" and not open_family and len(word) == 1
    return names


def _matching(pattern):
    return lambda words, tags: ["".join(parts) for parts in re.findall(
        pattern, "".join(f" {word}/{tag}" for word, tag in zip(words, tags)))]


people_of.also_right(_matching(r" (\S)/nr (\S+)/nr| (\S+)/nr"))
people_of.mistakes(
    ("family name and given name are still two words. Join them.", _matching(r" (\S+)/nr")),
    ("people in a row became one. A name ends with its given name.",
     lambda words, tags: ["".join(word for word, _ in group) for tag, group in groupby(
         zip(words, tags), key=lambda pair: pair[1]) if tag == "nr"]),
    ("a name of one word is missing: a foreign name, or a family name alone.",
     lambda words, tags: [name for name in people_of(words, tags) if name not in words]),
    ("a family name that stands alone (江主席, President Jiang) is missing.",
     lambda words, tags: [name for name in people_of(words, tags) if len(name) > 1]),
    ("two words were joined that are not neighbours, or not a family name and a given name. Only "
     "a word of one character takes the next one.",
     _matching(r" (\S+)/nr(?: \S+/(?!nr)\S+)*(?: (\S+)/nr)?")),
    ("the word after a family name was taken although its tag is not nr.",
     _matching(r" (\S)/nr (\S+)/\w+| (\S+)/nr")))


# An entity of several tokens, a long token, one that begins inside.
@exercise("tags-tokens", "the tags", "the tags fit the tokens, whatever their lengths are.", cases=[
    case([(0, 3, "PER"), (4, 8, "ORG")],
         [(0, 1), (1, 2), (2, 3), (3, 4), (4, 6), (6, 8), (8, 9)],
         expected="B-PER I-PER I-PER O B-ORG I-ORG O".split()),
    case([(3, 5, "LOC"), (6, 7, "PER"), (8, 9, "LOC")], [(0, 2), (2, 4), (4, 5), (6, 7), (8, 10)],
         expected="O B-LOC I-LOC B-PER B-LOC".split())])
def token_tags(entities: list[tuple[int, int, str]], offsets: list[tuple[int, int]]) -> list[str]:
    """Write entities that count characters as BIO tags of tokens.

    entities: (start, end, type) in characters; no two share a token.
    offsets: (start, end) of each token in characters, from left to right; there may be
        characters between two tokens.
    An entity has all tokens that share at least one character with it.
    Returns one BIO tag for each token.

    Example: token_tags([(2, 5, "LOC")], [(0, 1), (1, 3), (3, 5)])
    returns ["O", "B-LOC", "I-LOC"].
    """
    tags = ["O"] * len(offsets)
    for start, end, kind in entities:
        own = [i for i, (a, b) in enumerate(offsets) if a < end and b > start]
        for i in own:
            tags[i] = f"{'B' if i == own[0] else 'I'}-{kind}"
    return tags


def _changed(rule):
    """The right tags, each changed by `rule(tag, entities, start, end of the token)`."""
    return lambda entities, offsets: [rule(tag, entities, a, b) for tag, (a, b) in zip(
        token_tags(entities, offsets), offsets)]


def _only(inside):
    """Two ways to leave out tokens that are inside no entity by a stricter rule."""
    def strict(entities, a, b):
        return any(inside(start, end, a, b) for start, end, _ in entities)
    return (_changed(lambda tag, entities, a, b: tag if strict(entities, a, b) else "O"),
            lambda entities, offsets: token_tags(
                entities, [(a, b) if strict(entities, a, b) else (0, 0) for a, b in offsets]))


token_tags.mistakes(
    ("the offsets were not used: an entity counts characters, and a token can be longer.",
     lambda entities, offsets: token_tags(entities, [(i, i + 1) for i in range(len(offsets))])),
    ("every token of an entity has B-. Only the first one begins it.",
     _changed(lambda tag, *_: tag.replace("I-", "B-"))),
    ("no token has B-. The first one of an entity begins it.",
     _changed(lambda tag, *_: tag.replace("B-", "I-"))),
    ("a token that is only partly inside an entity got O. An entity gets every token that it "
     "shares a character with.", *_only(lambda start, end, a, b: start <= a and b <= end)),
    ("a token got O although the entity begins inside it. Compare both ends of the token.",
     *_only(lambda start, end, a, b: start <= a < end)),
    ("an entity that begins inside a token has no B-. Its first token gets it in any case.",
     _changed(lambda tag, entities, a, b: tag if any(a == e[0] for e in entities)
              else tag.replace("B-", "I-"))),
    ("a token that only touches an entity got its tag. They must share a character.",
     lambda entities, offsets: token_tags([(a - 1, b + 1, k) for a, b, k in entities], offsets),
     _changed(lambda tag, entities, a, b: tag if tag != "O" else next(
         (f"I-{kind}" for start, end, kind in entities if a <= end and b >= start), "O"))))
token_tags.also_right(lambda entities, offsets: [next((
    f"{'BI'[i > 0 and offsets[i - 1][1] > start]}-{kind}" for start, end, kind in entities
    if a < end and b > start), "O") for i, (a, b) in enumerate(offsets)])


# 3 right of 6 found and 7 true, the second sentence is all wrong; 1 of 3 and 2; nothing found.
@exercise("tags-f1", "F1", "this is the F1 that papers report.", cases=[
    case([[(0, 3, "PER"), (4, 6, "LOC"), (7, 9, "LOC")],
          [(0, 3, "PER"), (5, 7, "ORG"), (8, 9, "ORG")], [(2, 4, "LOC")]],
         [[(0, 3, "PER"), (4, 6, "LOC")], [(0, 2, "PER"), (5, 7, "LOC"), (8, 9, "LOC")],
          [(2, 4, "LOC")]], expected=6 / 13),
    case([[(0, 2, "PER")], [], [(1, 2, "LOC")]],
         [[], [(0, 2, "PER")], [(1, 2, "LOC"), (3, 5, "ORG")]], expected=2 / 5),
    case([[(0, 2, "PER")]], [[]], expected=0.0)])
def entity_f1(true: list[list], found: list[list]) -> float:
    """Compute the micro-averaged F1 over whole entities.

    true, found: for each sentence a list of (start, end, type). No list has repeats.
    An entity is right when the same sentence has it with the same start, end and type.
    Returns 2 * right / (number of found + number of true), counted over all sentences;
    there is at least one true entity.

    Example: entity_f1([[(0, 2, "PER")], [(0, 2, "LOC")]], [[(0, 2, "PER")], []])
    returns 0.666...
    """
    right = sum(len(set(a) & set(b)) for a, b in zip(true, found))
    return 2 * right / (sum(map(len, found)) + sum(map(len, true)))


def _from_counts(rule, same=lambda a, b: a == b):
    """`rule(right, found, true)`; an entity is right where it is the `same` as a found one."""
    return lambda true, found: rule(
        sum(any(same(a, b) for b in made) for row, made in zip(true, found) for a in row),
        sum(map(len, found)), sum(map(len, true)))


def _f1(right, found, true):
    return 2 * right / (found + true)


entity_f1.mistakes(
    ("this is precision: it does not fall when entities are missed.",
     _from_counts(lambda right, found, true: right / max(found, 1))),
    ("this is recall: it does not fall when entities are invented.",
     _from_counts(lambda right, found, true: right / true)),
    ("entities of another type were counted as right.",
     _from_counts(_f1, lambda a, b: a[:2] == b[:2])),
    ("an entity was compared with those of other sentences. Offsets count within one sentence.",
     lambda true, found: entity_f1([sum(true, [])], [sum(found, [])])),
    ("entities that only share a character were counted as right.",
     _from_counts(_f1, lambda a, b: a[0] < b[1] and b[0] < a[1] and a[2] == b[2])),
    ("this is the mean of the sentences' F1. Count over all sentences first, and divide once.",
     lambda true, found: sum(2 * len({*a} & {*b}) / max(len(a + b), 1)
                             for a, b in zip(true, found)) / len(true)),
    ("this is the arithmetic mean of precision and recall. F1 is the harmonic one.",
     _from_counts(lambda right, found, true: (right / max(found, 1) + right / true) / 2)),
    ("this is the share of right ones among all that are true or found (the Jaccard index).",
     _from_counts(lambda right, found, true: right / (found + true - right))),
    ("the factor 2 is missing.", lambda *given: entity_f1(*given) / 2),
    ("F1 is 0 when nothing is right.", lambda *given: entity_f1(*given) or 1.0))
entity_f1.also_right(
    _from_counts(_f1), _from_counts(lambda r, found, true: r and 2 / (found / r + true / r)),
    lambda true, found: 2 * len({(i, *e) for i, row in enumerate(true) for e in row} & {
        (i, *e) for i, row in enumerate(found) for e in row}) / len(sum(true + found, [])))
