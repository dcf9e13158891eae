"""Templates: a text becomes a sentence with a gap (Schick and Schütze, 2021, section 3).

In the paper a template is called a pattern. What the model reads is the tokenizer's own
encoding of the filled-in template: texts and template are not tokenised apart, because
byte-level BPE and SentencePiece write a word differently after a space than without one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from string import Formatter

from transformers import PreTrainedTokenizerBase

from companion.errors import CourseError
from companion.guards import door, is_blank, listed
from companion.tokenization import fast_backend, unknown_share

MASK = "mask"  # the name of the gap in a pattern
Input = str | Mapping[str, str]


@dataclass
class Encoded:
    """Texts as a model reads them, special tokens included; nothing is padded.

    Attributes:
        ids: one list of token ids for each text.
        masks: for each text the positions of the template's masks, in order.
        truncated: for each text how many of its tokens were cut off.
        unknown: for each text the share of its tokens that are ``[UNK]``.
    """

    ids: list[list[int]]
    masks: list[list[int]]
    truncated: list[int]
    unknown: list[float] = field(default_factory=list)


class Template:
    """A pattern with slots for text and with masks, such as ``"{text} It was {mask}."``.

    Args:
        pattern: ``{mask}`` (or ``[MASK]``) is a gap; any other name in braces is a slot for
            text. ``{{`` and ``}}`` are literal braces.
        shorten: the slot whose text is cut when the whole is too long; the first one if not
            given. The template, the masks and the other slots are never cut.
        cut: the side of that text that is cut off, ``"end"`` or ``"beginning"``.

    Attributes:
        before: what is before the first mask, for looking up label words.

    Raises:
        CourseError: no mask, braces without a pair or without a name, a slot to shorten that
            is not there, or that stands in the pattern twice.
    """

    @door
    def __init__(self, pattern: str, shorten: str | None = None, cut: str = "end"):
        self.pattern, self.cut = pattern, cut
        self._parts = _parse(pattern)
        self.before = _before(self._parts)
        fields = [name for _, name in self._parts if name]
        self.places = fields.count(MASK)
        self.slots = tuple(dict.fromkeys(name for name in fields if name != MASK))
        self.shorten = shorten or (self.slots[0] if self.slots else None)
        if not self.places:
            raise CourseError(f"the template {pattern!r} has no mask: write {{mask}} where the "
                              "model shall fill in a word")
        if cut not in ("end", "beginning"):
            raise CourseError(f'cut is {cut!r}: use "end" or "beginning"')
        if shorten and shorten not in self.slots:
            raise CourseError(f"the template has no slot {shorten!r} to shorten: "
                              f"use one of {', '.join(self.slots) or 'none'}")
        if fields.count(self.shorten) > 1:
            raise CourseError(f"the slot {self.shorten!r} to shorten stands in the template twice: "
                              "shorten another slot, or write it once")

    def __repr__(self) -> str:
        return f"Template({self.pattern!r})"

    @door
    def encode(
        self,
        tokenizer: PreTrainedTokenizerBase,
        texts: Sequence[Input],
        max_length: int,
        masks: int = 1,
        content_free: bool = False,
    ) -> Encoded:
        """Fill in the template and tokenise it, with the tokenizer's special tokens.

        Args:
            texts: texts, or a dictionary for each with the text of every slot.
            max_length: the most tokens that the model reads, special tokens included.
            masks: how many masks to put where the pattern has one (for words of several
                tokens).
            content_free: let empty texts and texts such as ``[MASK]`` pass. They are for
                calibration; a mask in a text is still none of the template's.

        Raises:
            CourseError: no input, an empty text, a slot that is missing or unknown, a text
                that has a special token in it, more masks where the pattern has several, a
                template that leaves no room for its text, a slow tokenizer.
        """
        if tokenizer.mask_token is None:
            raise CourseError("this tokenizer has no mask token: use one of a masked LM")
        if masks < 1 or (masks > 1 and self.places > 1):
            raise CourseError(f"{masks} masks were asked for, but the template has {self.places} "
                              "places for them: write one {mask}")
        backend = fast_backend(tokenizer)
        gap = tokenizer.mask_token * masks
        special = () if content_free else _special(tokenizer)
        filled = [self._render(self._values(entry, number, special), gap)
                  for number, entry in enumerate(listed(texts))]
        result = Encoded([], [], [])
        encodings = backend.encode_batch([text for text, _ in filled])
        for number, (encoding, (text, spans)) in enumerate(zip(encodings, filled)):
            ids, positions = encoding.ids, _masks(encoding, spans, tokenizer.mask_token_id)
            if len(positions) != masks * self.places:
                raise CourseError(f"text {number} and the template make another mask together: "
                                  "put spaces around the slot")
            read = _read(encoding, spans)
            if special and not all(read):
                raise CourseError(f"text {number} has no token: leave it out")
            result.unknown += unknown_share([sum(read, [])], tokenizer)
            gone = self._gone(encoding, text, spans, len(ids) - max_length, number)
            result.truncated.append(len(gone))
            if gone:
                ids = [token for at, token in enumerate(ids) if at not in gone]
                positions = [at - sum(g < at for g in gone) for at in positions]
            result.ids.append(ids)
            result.masks.append(positions)
        return result

    @door
    def fill(self, entry: Input, mask: str = "[MASK]") -> str:
        """The filled-in template as a text, to read it. ``mask`` is written for the gaps."""
        return self._render(self._values(entry, 0, ()), mask)[0]

    def _values(self, entry: Input, number: int, special: Sequence[str]) -> Mapping[str, str]:
        if isinstance(entry, str):
            if len(self.slots) != 1:
                raise CourseError(f"the template has {len(self.slots)} slots, not one: give a "
                                  f"dictionary with the slots ({', '.join(self.slots) or 'none'})")
            entry = {self.slots[0]: entry}
        if set(entry) != set(self.slots):
            raise CourseError(f"text {number} has the slots {', '.join(map(str, entry)) or 'none'}:"
                              f" this template wants {', '.join(self.slots) or 'none'}")
        for name in self.slots:
            _refuse(entry[name], f"text {number}, slot {name!r},", special)
        return entry

    def _render(self, values: Mapping[str, str], gap: str) -> tuple[str, list[tuple]]:
        """The text, and for each slot in it (name, first character, end)."""
        text, spans = "", []
        for literal, name in self._parts:
            text += literal
            if name == MASK:
                text += gap
            elif name:
                spans.append((name, len(text), len(text) + len(values[name])))
                text += values[name]
        return text, spans

    def _gone(self, encoding, text: str, spans: list, excess: int, number: int) -> set[int]:
        """The positions to leave out so that ``excess`` tokens fewer remain."""
        if excess <= 0:
            return set()
        inside = [at for name, start, end in spans if name == self.shorten
                  for at in _inside(encoding, text, start, end)]
        if len(inside) <= excess:
            raise CourseError(f"text {number}: without {self.shorten or 'any text'} the template "
                              f"has {len(encoding.ids) - len(inside)} tokens and leaves no room "
                              "for it: shorten the template or the other slots")
        return set(inside[-excess:] if self.cut == "end" else inside[:excess])


def _parse(pattern: str) -> list[tuple[str, str | None]]:
    """Pairs of literal text and the name of the slot after it."""
    try:
        parsed = list(Formatter().parse(pattern.replace("[MASK]", "{mask}")))
    except ValueError:
        raise CourseError(f"the template {pattern!r} has a brace without its pair: write {{{{ or "
                          "}} for a literal one") from None
    for _, name, spec, conversion in parsed:
        if name is not None and (spec or conversion or not name.isidentifier()):
            raise CourseError(f"the template {pattern!r} has a slot without a plain name: write "
                              "{text} or {mask}, and {{ }} for literal braces")
    return [(literal, name) for literal, name, _, _ in parsed]


def _before(parts: list[tuple[str, str | None]]) -> str:
    """The text before the first mask, with a comma for each slot: a text has no known end."""
    text = ""
    for literal, name in parts:
        text += literal
        if name == MASK:
            break
        text += "，" if name else ""
    return text


def _special(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Tokens that a text must not hold. The unknown token does no harm."""
    return [token for token in tokenizer.all_special_tokens if token != tokenizer.unk_token]


def _refuse(text: str, where: str, special: Sequence[str]) -> None:
    """Without ``special``, every text passes."""
    if special and is_blank(text):
        raise CourseError(f"{where} is empty: leave it out, or give a text")
    for token in special:
        if token in text:
            raise CourseError(f"{where} holds the special token {token}: take it out of the text; "
                              "masks belong in the template")


def _read(encoding, spans: list[tuple]) -> list[list[int]]:
    """For each slot the ids of the tokens that have a character of its text."""
    return [[i for i, (first, last) in zip(encoding.ids, encoding.offsets)
             if first < end and last > start] for _, start, end in spans]


def _masks(encoding, spans: list[tuple], mask_id: int) -> list[int]:
    """Positions of masks that stand in no slot."""
    found = [at for at, token in enumerate(encoding.ids) if token == mask_id]
    slots = [(start, end) for _, start, end in spans]
    return [at for at in found
            if not any(start <= encoding.offsets[at][1] - 1 < end for start, end in slots)]


def _inside(encoding, text: str, start: int, end: int) -> list[int]:
    """Positions of tokens that have no character but those from ``start`` to ``end``.

    The space that some tokenizers count to the word after it does not matter.
    """
    found = []
    for at, (first, last) in enumerate(encoding.offsets):
        written = text[first:last]
        first += len(written) - len(written.lstrip()) if written.strip() else 0
        if start <= first < last <= end:
            found.append(at)
    # All from the first to the last: a space can be a token that claims no character.
    return list(range(found[0], found[-1] + 1)) if found else []
