"""Characters and tokens, for every kind of tokenizer and any text."""

from types import SimpleNamespace

import numpy as np
import pytest
import tiny
import tiny_ner
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizer, PreTrainedTokenizerFast

from companion.entity import Entity
from companion.errors import CourseError
from companion.ner import alignment
from companion.ner.schemes import from_tags, labels
from companion.tokenization import bert_tokenizer

MODULE = SimpleNamespace(**vars(alignment))
quick = settings(max_examples=60, deadline=None, report_multiple_bugs=False)
TYPES = ("PER", "LOC")


def chinese_wordpiece():
    """As bert-base-chinese: one token for a Chinese character, pieces for the rest."""
    entries = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"中国人李鹏在北京市，。",
               "19", "##98", "nba", "##s", "b", "##ruce", "a"]
    backend = Tokenizer(models.WordPiece(
        {entry: i for i, entry in enumerate(entries)}, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return bert_tokenizer(backend, 512)


def character_level():
    """Every character is a token, spaces too; most are unknown."""
    entries = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"中国人李鹏 a"]
    backend = Tokenizer(models.WordLevel(
        {entry: i for i, entry in enumerate(entries)}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    return bert_tokenizer(backend, 512)


TOKENIZERS = {"wordpiece": chinese_wordpiece(), "characters": character_level(),
              "bytes": tiny.byte_bpe(), "sentencepiece": tiny.sentencepiece()}
# What tokenizers trip over: emoji of several characters, zero-width, spaces, combining marks,
# one character that a normaliser writes as several, surrogates' neighbours, full width.
ODD = "李鹏在北京，NBAs1998ａ㎏ﷺ\u200b\u200d\ufeff \t\n\u3000e\u0301🙂👨‍👩‍👧🇨🇳𠀀\x00\u202e"
TEXTS = st.one_of(st.text(max_size=25), st.text(ODD, max_size=25))


def read(module, name, text, longest=16, overlap=4):
    return module.encode(TOKENIZERS[name], [text], longest, overlap)[0]


def any_text(check):
    @quick
    @given(st.sampled_from(list(TOKENIZERS)), TEXTS, st.integers(0, 10**6))
    @example("wordpiece", "", 0)
    @example("bytes", "🙂🙂", 1)
    @example("wordpiece", "李\u200b鹏 1998", 2)
    def run(name, text, seed):
        check(name, text, np.random.default_rng(seed))
    run()


def check_offsets_slice_back(module):
    """Whatever a model tags, in whatever order: every entity is a piece of the text."""
    def check(name, text, draw):
        encoded = read(module, name, text)
        for scheme in ("IO", "BIO", "BIOES"):
            names = labels(TYPES, scheme)
            tags = [names[i] for i in draw.integers(0, len(names), len(encoded))]
            found = module.from_unit_tags(tags, encoded, scheme)
            assert len(found) == len(from_tags(tags, scheme))
            for e in found:
                assert 0 <= e.start < e.end <= len(text) and text[e.start : e.end] == e.text
            assert all(a.end <= b.start for a, b in zip(found, found[1:]))
    any_text(check)


def check_round_trip(module):
    """Entities that begin and end with units come back as they were."""
    def check(name, text, draw):
        encoded = read(module, name, text)
        edges = np.sort(draw.choice(len(encoded) + 1, min(4, len(encoded) + 1), replace=False))
        spans = zip(edges[::2], edges[1::2])
        true = [Entity(int(encoded.offsets[a, 0]), int(encoded.offsets[b - 1, 1]), "PER")
                for a, b in spans]
        _, counts = module.to_units(true, encoded)
        assert not any(counts.values())
        for scheme in ("BIO", "BIOES"):
            tags = module.unit_tags(true, encoded, scheme)
            assert module.from_unit_tags(tags, encoded, scheme) == true
    any_text(check)


def check_any_entities(module):
    """Any entities at all: units never overlap, and what is inexact is counted."""
    def check(name, text, draw):
        encoded = read(module, name, text)
        size = min(6, len(text) + 1)
        edges = np.sort(draw.choice(len(text) + 1, size, replace=False)).tolist()
        true = [Entity(a, b, "LOC") for a, b in zip(edges[::2], edges[1::2])]
        units, counts = module.to_units(true, encoded)
        assert len(units) + counts["lost"] == len(true)
        assert all(a.end <= b.start for a, b in zip(units, units[1:]))
        back = module.to_characters(units, encoded)
        assert len(set(true) - set(back)) <= sum(counts.values())
        assert (back == true) == (not any(counts.values()))
        for e in back:
            assert any(e.overlaps(t) for t in true)
    any_text(check)


def check_states_come_from_the_right_token(module):
    """``rows[window, column]`` is the token of the unit, in every window size."""
    text = "李鹏在北京，中国人在北京市。" * 5
    ids = TOKENIZERS["wordpiece"](text, add_special_tokens=False)["input_ids"]
    for longest, overlap in [(200, 4), (72, 4), (71, 0), (16, 4), (12, 9), (3, 0)]:
        encoded = read(module, "wordpiece", text, longest, overlap)
        assert max(map(len, encoded.rows)) <= longest
        assert all(row[0] == 2 and row[-1] == 3 for row in encoded.rows)
        gathered = [encoded.rows[w][c] for w, c in zip(encoded.window, encoded.column)]
        assert gathered == ids and encoded.offsets[:, 0].tolist() == list(range(len(text)))


def trained(kind, seed):
    """A tokenizer of SentencePiece's or of GPT-2's kind, on random text: any cut of any word."""
    draw = np.random.default_rng(seed)
    words = ["".join(draw.choice(list("上海北京看了王明abcé🙂"), draw.integers(1, 5)))
             for _ in range(30)]
    texts = [draw.choice(["", " "]).join(draw.choice(words, 4)) for _ in range(30)]
    pre, of_bytes = pre_tokenizers, kind.startswith("bytes")
    backend = Tokenizer(models.Unigram() if kind == "unigram" else models.BPE())
    backend.pre_tokenizer = {
        "unigram": pre.Metaspace(), "bpe": pre.Sequence([pre.WhitespaceSplit(), pre.Metaspace()]),
        "bytes": pre.ByteLevel(add_prefix_space=True), "bytes plain": pre.ByteLevel(False),
    }[kind]
    settings = {"vocab_size": int(draw.integers(300, 330) if of_bytes else draw.integers(20, 60)),
                "special_tokens": ["<pad>", "<unk>"], "show_progress": False}
    if kind == "unigram":
        trainer = trainers.UnigramTrainer(unk_token="<unk>", **settings)
    else:
        alphabet = pre.ByteLevel.alphabet() if of_bytes else []
        trainer = trainers.BpeTrainer(initial_alphabet=alphabet, **settings)
    backend.train_from_iterator(texts, trainer)
    made = PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>", unk_token="<unk>")
    return made, [text for text in texts[:6] if "<unk>" not in made.tokenize(text)]


def trained_tokenizers(check):
    @quick
    @given(st.sampled_from(["unigram", "bpe", "bytes", "bytes plain"]), st.integers(0, 10**6))
    def run(kind, seed):
        check(kind, *trained(kind, seed), np.random.default_rng(seed))
    run()


def written(token, kind):
    """The bytes that a token stands for, without the mark or the blank at its start."""
    if not kind.startswith("bytes"):
        return token.strip("▁").encode()
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    shown = shown + [b for b in range(256) if b not in shown]  # these are written from 256 on
    code = {chr(b if i < 188 else 68 + i): b for i, b in enumerate(shown)}
    return bytes(code[c] for c in token).strip(b" ")


def check_labels_stand_on_what_carries_them(module):
    """The pieces' own letters, one after another, say where each stands: no offsets are asked."""
    def check(kind, tokenizer, texts, draw):
        for text in texts:
            encoded, at = module.encode(tokenizer, [text], 500, 4)[0], 0
            pieces = [written(t, kind) for t in tokenizer.convert_ids_to_tokens(encoded.rows[0])]
            data, expected, reached = text.encode(), [], 0
            for column, piece in enumerate(pieces):
                if not piece:
                    continue
                start = data.index(piece, at)
                at = start + len(piece)
                # Of bytes: a character belongs to the first token that has a part of it.
                first, last = len(data[:start].decode(errors="ignore")), \
                    len(data[:at].decode(errors="replace"))
                if last > reached:
                    expected.append([column, max(first, reached), last])
                    reached = last
            ours = [[c, *span] for c, span in zip(encoded.column, encoded.offsets.tolist())]
            assert ours == expected, (kind, text)
    trained_tokenizers(check)


def check_nothing_is_left_out(module):
    """Tokens that share a character in part (bytes of one and the next, ligatures)."""
    backend = Tokenizer(models.WordLevel({"<unk>": 0, "f": 1, "ix": 2}, unk_token="<unk>"))
    backend.normalizer = normalizers.NFKC()
    backend.pre_tokenizer = pre_tokenizers.Split("f", "isolated")
    ligature = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>")
    assert shown(module.encode(ligature, ["ﬁx"], 9, 0)[0]) == ["ﬁ", "x"]


def check_windows_cover(module):
    @quick
    @given(st.integers(0, 200), st.integers(1, 40), st.integers(0, 39))
    def run(count, room, overlap):
        overlap %= room
        spans = module.windows(count, room, overlap)
        assert spans[0][0] == 0 and spans[-1][1] == count
        assert all(0 < b - a <= room or count == 0 for a, b in spans)
        for (_, stop), (start, _) in zip(spans, spans[1:]):
            assert start <= stop - overlap
        assert len(spans) <= 1 + max(0, -(-(count - room) // (room - overlap)))
    run()


def check_most_central(module):
    @quick
    @given(st.integers(1, 120), st.integers(2, 30), st.integers(0, 29))
    def run(count, room, overlap):
        spans = alignment.windows(count, room, overlap % room)
        chosen = module.most_central(count, spans)
        for token, own in enumerate(chosen):
            margins = [min(token - a, b - 1 - token) for a, b in spans if a <= token < b]
            a, b = spans[own]
            assert a <= token < b and min(token - a, b - 1 - token) == max(margins)
        assert (np.diff(chosen) >= 0).all()
    run()


PROPERTIES = {name: value for name, value in globals().items() if name.startswith("check_")}


@pytest.mark.parametrize("name", PROPERTIES)
def test_property(name):
    PROPERTIES[name](MODULE)


# --- examples -----------------------------------------------------------------------------


def shown(encoded):
    return [encoded.text[a:b] for a, b in encoded.offsets]


def test_units_of_wordpiece():
    encoded = read(MODULE, "wordpiece", "李\u200b鹏 在NBAs 1998 🙂")
    assert shown(encoded) == ["李", "鹏", "在", "NBA", "s", "19", "98", "🙂"]
    tags = alignment.unit_tags([Entity(0, 3, "PER"), Entity(5, 9, "LOC")], encoded)
    assert tags == "B-PER I-PER O B-LOC I-LOC O O O".split()
    found = alignment.from_unit_tags(tags, encoded, scores=[0.5, 1, 0, 1, 1, 0, 0, 0])
    assert [(e.text, e.score) for e in found] == [("李\u200b鹏", 0.75), ("NBAs", 1)]


def test_several_tokens_of_one_character_have_one_tag():
    encoded = read(MODULE, "bytes", "a🙂b", longest=40)
    assert shown(encoded) == ["a", "🙂", "b"] and len(encoded.rows[0]) > 5
    found = alignment.from_unit_tags(["O", "B-PER", "I-PER"], encoded)
    assert found == [Entity(1, 3, "PER")]


def test_entities_that_do_not_fit_the_units():
    encoded = read(MODULE, "wordpiece", "1998李\u200b")  # units 19, 98, 李
    for entity, units, kind in [
        (Entity(1, 2, "PER"), [Entity(0, 1, "PER")], "grown"),
        (Entity(1, 3, "PER"), [Entity(0, 2, "PER")], "grown"),
        (Entity(4, 6, "PER"), [Entity(2, 3, "PER")], "shrunk"),
        (Entity(5, 6, "PER"), [], "lost"),
    ]:
        found, counts = alignment.to_units([entity], encoded)
        assert found == units and {k for k, v in counts.items() if v} == {kind}
    both = [Entity(0, 1, "PER"), Entity(1, 4, "LOC")]  # both want the unit 19
    found, counts = alignment.to_units(both, encoded)
    assert found == [Entity(0, 1, "PER"), Entity(1, 2, "LOC")]
    assert counts == {"grown": 1, "shrunk": 1, "lost": 0}
    assert alignment.to_units([Entity(0, 1, "X"), Entity(1, 2, "X")], encoded)[1]["lost"] == 1


@pytest.mark.parametrize("name", TOKENIZERS)
def test_long_and_empty_texts(name):
    text = "李鹏在北京，the a🙂 " * 770  # 10,010 characters and more
    long, empty = alignment.encode(TOKENIZERS[name], [text, ""], 64)
    assert len(text) > 10_000 and max(map(len, long.rows)) <= 64
    assert long.offsets[-1, 1] >= len(text) - 1
    assert (len(empty), len(empty.rows)) == (0, 1)
    assert alignment.from_unit_tags([], empty) == []
    tags = ["B-PER"] * len(long)
    assert len(alignment.from_unit_tags(tags, long)) == len(long)


def test_frame():
    for name, (before, after) in {"wordpiece": ([2], [3]), "bytes": ([], [])}.items():
        assert alignment.frame(TOKENIZERS[name]) == (before, after)


def refused(match, call):
    with pytest.raises(CourseError, match=match) as problem:
        call()
    assert "\n" not in str(problem.value)


def test_wrong_input_is_refused():
    tokenizer = TOKENIZERS["wordpiece"]
    refused("this is one text", lambda: alignment.encode(tokenizer, "李鹏", 16, 0))
    for longest, overlap in [(16, 14), (16, -1), (2, 0), (1, 0)]:
        refused("cannot share", lambda a=longest, b=overlap: alignment.encode(
            tokenizer, ["李"], a, b))
    slow = PreTrainedTokenizer.__new__(PreTrainedTokenizer)  # of no files
    refused("has no offsets: use a fast tokenizer", lambda: alignment.encode(slow, ["李"], 16, 0))
    encoded = read(MODULE, "wordpiece", "李鹏")
    refused("has 2 units", lambda: alignment.from_unit_tags(["O"], encoded))
    refused("has 2 units", lambda: alignment.from_unit_tags(["O", "O"], encoded, scores=[1.0]))
    refused("does not fit", lambda: alignment.unit_tags([Entity(1, 3, "X")], encoded))
    assert alignment.encode(tokenizer, [], 16, 0) == []


# --- mutants ------------------------------------------------------------------------------


def mutant(**changes):
    return SimpleNamespace(**vars(alignment) | changes)


def with_part(name, value):
    """`encode` and what calls it, with one of the module's functions replaced."""
    def encode(*arguments):
        kept = getattr(alignment, name)
        setattr(alignment, name, value)
        try:
            return alignment.encode(*arguments)
        finally:
            setattr(alignment, name, kept)
    return encode


def covered_twice(text, tokens, offsets):
    return np.array(offsets, int).reshape(-1, 2)


def marks_carry(text, tokens, offsets):
    return MODULE.new_spans(text, ["x"] * len(tokens), offsets)


def all_or_nothing(text, tokens, offsets):
    """A token that begins inside what an earlier one covers is none: how it once was."""
    spans = covered_twice(text, tokens, offsets)
    reached = np.maximum.accumulate(np.concatenate([[0], spans[:, 1]]))[:-1]
    return spans * (spans[:, 0] >= reached)[:, None]


def nearest_window(count, spans):
    """The last window that has the token: also at its very edge."""
    return np.array([max(i for i, (a, b) in enumerate(spans) if a <= t < b)
                     for t in range(count)], int)


def first_window(count, spans):
    return np.array([min(i for i, (a, b) in enumerate(spans) if a <= t < b)
                     for t in range(count)], int)


def cut(count, room, overlap):
    return [(0, min(count, room))]


def no_overlap(count, room, overlap):
    return [(a, min(a + room, count)) for a in range(0, max(count, 1), room)]


def only_exact(entities, encoded):
    """Leaves out what does not fit, and says nothing."""
    found = [units for e in entities for units, counts in [alignment.to_units([e], encoded)]
             if not any(counts.values())]
    return [e for row in found for e in row], {"grown": 0, "shrunk": 0, "lost": 0}


def forgets_counts(entities, encoded):
    found, counts = alignment.to_units(entities, encoded)
    return found, dict.fromkeys(counts, 0)


def without_frame(*arguments):
    return [alignment.Encoded(e.text, e.rows, e.offsets, e.window, e.column - 1)
            for e in alignment.encode(*arguments)]


def units_as_characters(tags, encoded, scheme="BIO"):
    return [Entity(e.start, e.end, e.type, encoded.text[e.start : e.end])
            for e in from_tags(tags, scheme)]


@pytest.mark.parametrize("changes, name", [
    ({"encode": with_part("new_spans", covered_twice)}, "check_offsets_slice_back"),
    ({"encode": with_part("new_spans", marks_carry)}, "check_labels_stand_on_what_carries_them"),
    ({"encode": with_part("new_spans", all_or_nothing)}, "check_labels_stand_on_what_carries_them"),
    ({"encode": with_part("new_spans", all_or_nothing)}, "check_nothing_is_left_out"),
    ({"encode": with_part("_stripped", lambda text, spans: spans)},
     "check_labels_stand_on_what_carries_them"),
    ({"from_unit_tags": units_as_characters}, "check_round_trip"),
    ({"to_units": only_exact}, "check_any_entities"),
    ({"to_units": forgets_counts}, "check_any_entities"),
    ({"encode": without_frame}, "check_states_come_from_the_right_token"),
    ({"windows": cut}, "check_windows_cover"),
    ({"windows": no_overlap}, "check_windows_cover"),
    ({"most_central": nearest_window}, "check_most_central"),
    ({"most_central": first_window}, "check_most_central"),
])
def test_mutant_is_caught(changes, name):
    with pytest.raises(AssertionError):
        PROPERTIES[name](mutant(**changes))


@pytest.mark.parametrize("text, cause", [(None, "NoneType: give a str"), (1, "int: give a str"),
                                         ("李明\ud800", "no valid Unicode"),
                                         ("\udcff李明", "no valid Unicode")], ids=repr)
def test_what_is_no_text_is_refused_in_one_line(text, cause):
    with pytest.raises(CourseError, match=f"texts.1. is .*{cause}") as problem:
        alignment.encode(tiny_ner.tokenizer(), ["好", text], 32)
    assert "\n" not in str(problem.value)
