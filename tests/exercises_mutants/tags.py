"""Answers to the exercises of "Chinese NER data", as learners write them.

What the tables hold is said in `answer_tables.py`.
"""

from itertools import groupby

from answer_tables import tables

MUTANTS, STOPPED, RIGHT, wrong, stops, right = tables()


# --- tags-write ---------------------------------------------------------------------------

@wrong("tags-write", "this is BIO")
def _(entities, length):
    tags = ["O"] * length
    for start, end, kind in entities:
        tags[start:end] = [f"I-{kind}"] * (end - start)
        tags[start] = f"B-{kind}"
    return tags


@wrong("tags-write", "this is IO")
def _(entities, length):
    tags = ["O"] * length
    for start, end, kind in entities:
        for i in range(start, end):
            tags[i] = "I-" + kind
    return tags


@wrong("tags-write", "It has its own mark")
def _(entities, length):
    tags = ["O"] * length
    for start, end, kind in entities:
        tags[start:end] = [f"I-{kind}"] * (end - start)
        tags[end - 1] = f"E-{kind}"
        tags[start] = f"B-{kind}"
    return tags


@wrong("tags-write", "written over its beginning")
def _(entities, length):
    tags = ["O"] * length
    for start, end, kind in entities:
        tags[start:end] = [f"I-{kind}"] * (end - start)
        tags[start] = f"B-{kind}"
        tags[end - 1] = f"E-{kind}"
    return tags


@wrong("tags-write", "one unit too long")
def _(entities, length):
    tags = ["O"] * (length + 1)
    for start, end, kind in entities:
        for i in range(start, end + 1):
            tags[i] = ("B-" if i == start else "E-" if i == end else "I-") + kind
    return tags[:length]


@wrong("tags-write", "one for each of the 9 units")
def _(entities, length):
    return [f"{place}-{kind}" for start, end, kind in entities
            for place in "B" + "I" * (end - start - 2) + "E"]


@wrong("tags-write", "the types are missing")
def _(entities, length):
    tags = ["O"] * length
    for start, end, _ in entities:
        size = end - start
        tags[start:end] = ["S"] if size == 1 else ["B", *"I" * (size - 2), "E"]
    return tags


@right("tags-write", "unit by unit")
def _(entities, length):
    def tag(i):
        for start, end, kind in entities:
            if start <= i < end:
                place = {(True, True): "S", (True, False): "B", (False, True): "E"}
                return place.get((i == start, i == end - 1), "I") + "-" + kind
        return "O"
    return [tag(i) for i in range(length)]


# --- tags-read ----------------------------------------------------------------------------

def _read(tags, begins=lambda place, kind, open_kind: place == "B" or kind != open_kind):
    found, start, open_kind = [], None, None
    for i, tag in enumerate([*tags, "O"]):
        place, _, kind = tag.partition("-")
        if open_kind and (place == "O" or begins(place, kind, open_kind)):
            found.append((start, i, open_kind))
            open_kind = None
        if place != "O" and open_kind is None:
            start, open_kind = i, kind
    return found


@right("tags-read", "a state machine")
def _(tags):
    return _read(tags)


@wrong("tags-read", "neighbours of one type became one")
def _(tags):
    return _read(tags, lambda place, kind, open_kind: kind != open_kind)


@wrong("tags-read", "an I- that follows nothing of its type is lost")
def _(tags):
    return [e for e in _read(tags) if tags[e[0]].startswith("B")]


@wrong("tags-read", "an entity that ends with the text is missing")
def _(tags):
    return [e for e in _read(tags) if e[1] != len(tags)]


@wrong("tags-read", "the ends are one too small")
def _(tags):
    return [(a, b - 1, kind) for a, b, kind in _read(tags)]


@wrong("tags-read", "A new type begins a new entity")
def _(tags):
    return _read(tags, lambda place, kind, open_kind: place == "B")


@wrong("tags-read", "all tagged units in a row")
def _(tags):
    return _read(tags, lambda *_: False)


@wrong("tags-read", "each tagged unit became an entity")
def _(tags):
    return [(i, i + 1, tag[2:]) for i, tag in enumerate(tags) if tag != "O"]


@wrong("tags-read", "in this order")
def _(tags):
    return [(kind, a, b) for a, b, kind in _read(tags)]


# --- tags-names ---------------------------------------------------------------------------

def _people(words, tags):
    found, i = [], 0
    while i < len(words):
        size = 1
        if tags[i] == "nr":
            if len(words[i]) == 1 and i + 1 < len(words) and tags[i + 1] == "nr":
                size = 2
            found.append("".join(words[i : i + size]))
        i += size
    return found


@right("tags-names", "a loop with an index")
def _(words, tags):
    return _people(words, tags)


@right("tags-names", "a family name waits")
def _(words, tags):
    found, waiting = [], ""
    for word, tag in zip(words, tags):
        if waiting and tag == "nr":
            found.append(waiting + word)
            waiting = ""
            continue
        if waiting:
            found.append(waiting)
            waiting = ""
        if tag == "nr" and len(word) == 1:
            waiting = word
        elif tag == "nr":
            found.append(word)
    return found + [waiting] if waiting else found


@wrong("tags-names", "still two words")
def _(words, tags):
    return [w for w, t in zip(words, tags) if t == "nr"]


@wrong("tags-names", "people in a row became one")
def _(words, tags):
    return ["".join(w for w, _ in group)
            for tag, group in groupby(zip(words, tags), key=lambda p: p[1]) if tag == "nr"]


@wrong("tags-names", "a name of one word is missing")
def _(words, tags):
    return [n for n in _people(words, tags) if n not in words]


@wrong("tags-names", "that stands alone")
def _(words, tags):
    return [n for n in _people(words, tags) if len(n) >= 2]


@wrong("tags-names", "do not stand side by side")
def _(words, tags):
    names = [w for w, t in zip(words, tags) if t == "nr"]
    return ["".join(names[i : i + 2]) for i in range(0, len(names), 2)]


@wrong("tags-names", "although its tag is not nr")
def _(words, tags):
    found, i = [], 0
    while i < len(words):
        if tags[i] == "nr" and len(words[i]) == 1:
            found.append("".join(words[i : i + 2]))
            i += 2
        else:
            found += [words[i]] * (tags[i] == "nr")
            i += 1
    return found


@wrong("tags-names", "modifies its argument `words`")
def _(words, tags):
    found = _people(words, tags)
    words.clear()
    return found


# --- tags-tokens --------------------------------------------------------------------------

def _tokens(entities, offsets, inside, begins):
    tags = []
    for i, (a, b) in enumerate(offsets):
        own = [e for e in entities if inside(a, b, e)]
        tags.append("O" if not own else ("B-" if begins(i, a, own[0]) else "I-") + own[0][2])
    return tags


def _shares(a, b, e):
    return a < e[1] and b > e[0]


def _first_of(offsets):
    return lambda i, a, e: i == 0 or not _shares(*offsets[i - 1], e)


@right("tags-tokens", "token by token")
def _(entities, offsets):
    return _tokens(entities, offsets, _shares, _first_of(offsets))


@wrong("tags-tokens", "the offsets were not used")
def _(entities, offsets):
    tags = ["O"] * len(offsets)
    for start, end, kind in entities:
        for i in range(start, min(end, len(tags))):
            tags[i] = ("B-" if i == start else "I-") + kind
    return tags


@wrong("tags-tokens", "every token of an entity has B-")
def _(entities, offsets):
    return _tokens(entities, offsets, _shares, lambda *_: True)


@wrong("tags-tokens", "no token has B-")
def _(entities, offsets):
    return _tokens(entities, offsets, _shares, lambda *_: False)


@wrong("tags-tokens", "only partly inside")
def _(entities, offsets):
    whole = _tokens(entities, offsets, lambda a, b, e: e[0] <= a and b <= e[1],
                    _first_of(offsets))
    return whole


@wrong("tags-tokens", "Compare both ends of the token")
def _(entities, offsets):
    return _tokens(entities, offsets, lambda a, b, e: e[0] <= a < e[1],
                   lambda i, a, e: a == e[0])


@wrong("tags-tokens", "has no B-")
def _(entities, offsets):
    return _tokens(entities, offsets, _shares, lambda i, a, e: a == e[0])


@wrong("tags-tokens", "They must share a character")
def _(entities, offsets):
    return _tokens(entities, offsets, lambda a, b, e: a <= e[1] and b >= e[0],
                   lambda i, a, e: _first_of(offsets)(i, a, e) and _shares(*offsets[i], e))


@wrong("tags-tokens", "one for each of the 7 tokens")
def _(entities, offsets):
    length = max(b for _, b in offsets)
    tags = ["O"] * length
    for start, end, kind in entities:
        tags[start:end] = [f"B-{kind}"] + [f"I-{kind}"] * (end - start - 1)
    return tags


# --- tags-f1 ------------------------------------------------------------------------------

def _counts(true, found):
    hits = sum(len(set(a) & set(b)) for a, b in zip(true, found))
    return hits, sum(map(len, found)), sum(map(len, true))


@right("tags-f1", "from precision and recall")
def _(true, found):
    hits, made, wanted = _counts(true, found)
    if not hits:
        return 0.0
    precision, recall = hits / made, hits / wanted
    return 2 * precision * recall / (precision + recall)


@right("tags-f1", "with sentence numbers")
def _(true, found):
    a = {(i, *e) for i, row in enumerate(true) for e in row}
    b = {(i, *e) for i, row in enumerate(found) for e in row}
    return 2 * len(a & b) / (len(a) + len(b))


@wrong("tags-f1", "this is precision")
def _(true, found):
    hits, made, _ = _counts(true, found)
    return hits / max(made, 1)


@wrong("tags-f1", "this is recall")
def _(true, found):
    hits, _, wanted = _counts(true, found)
    return hits / wanted


@wrong("tags-f1", "of another type")
def _(true, found):
    true, found = ([[e[:2] for e in row] for row in rows] for rows in (true, found))
    hits, made, wanted = _counts(true, found)
    return 2 * hits / (made + wanted)


@wrong("tags-f1", "with those of other sentences")
def _(true, found):
    hits = len({e for row in true for e in row} & {e for row in found for e in row})
    return 2 * hits / (sum(map(len, true)) + sum(map(len, found)))


@wrong("tags-f1", "only share a character")
def _(true, found):
    hits = sum(any(a[0] < b[1] and b[0] < a[1] and a[2] == b[2] for b in row)
               for rows, row in zip(true, found) for a in rows)
    return 2 * hits / (sum(map(len, true)) + sum(map(len, found)))


@wrong("tags-f1", "the mean of the sentences' F1")
def _(true, found):
    scores = []
    for a, b in zip(true, found):
        scores.append(2 * len(set(a) & set(b)) / max(len(a) + len(b), 1))
    return sum(scores) / len(scores)


@wrong("tags-f1", "arithmetic mean")
def _(true, found):
    hits, made, wanted = _counts(true, found)
    return (hits / max(made, 1) + hits / wanted) / 2


@wrong("tags-f1", "Jaccard")
def _(true, found):
    hits, made, wanted = _counts(true, found)
    return hits / (made + wanted - hits)


@wrong("tags-f1", "the factor 2 is missing")
def _(true, found):
    hits, made, wanted = _counts(true, found)
    return hits / (made + wanted)


@wrong("tags-f1", "F1 is 0 when nothing is right")
def _(true, found):
    hits, made, wanted = _counts(true, found)
    return 2 * hits / (made + wanted) if hits else 1.0
