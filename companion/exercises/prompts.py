"""The exercises of the chapter "From MLM to prompts"."""

import torch
from torch.nn.functional import linear, normalize

from companion.exercises.exercise import case, exercise

_LABELS = {"great": "pos", "fun": "pos", "good": "pos", "awful": "neg", "bad": "neg"}
_TEXT, _AFTER = [11, 12, 13, 14, 15, 16], [21, 22, 4, 23]


# In both cases the first answer says something else than all answers together.
@exercise("prompts-share", "the share", "several words say more than the first one.", cases=[
    case([("bad", .3), ("great", .2), ("not", .15), ("good", .1), ("fun", .1)], _LABELS,
         expected=0.4 / 0.7),
    case([("great", .25), ("awful", .2), ("the", .1), ("bad", .05), ("a", .02)], _LABELS,
         expected=0.5)])
def positive_share(answers: list[tuple[str, float]], labels: dict[str, str]) -> float:
    """Share of the label "pos" in the answers that have a label.

    answers: words with their probabilities, best first, such as [("awful", 0.07), ...].
    labels: the label of each label word, "pos" or "neg". Other words have no label.
    Returns the probability of all "pos" answers, divided by that of all answers with a label.

    Example: positive_share([("bad", 0.3), ("the", 0.2), ("good", 0.1)],
    {"good": "pos", "bad": "neg"}) returns 0.25.
    """
    known = [(labels[word], p) for word, p in answers if word in labels]
    return sum(p for label, p in known if label == "pos") / sum(p for _, p in known)


positive_share.mistakes(
    ("this is the share of the other label, not of pos.", lambda *g: 1 - positive_share(*g)),
    ("the sum is not divided: divide by the probability of all answers that have a label.",
     lambda answers, labels: sum(p for word, p in answers if labels.get(word) == "pos")),
    ("words without a label are in the divisor. Leave them out: they speak for neither label.",
     lambda answers, labels: positive_share(answers, {w: "neg" for w, _ in answers} | labels)),
    ("the words are counted. Add up their probabilities instead.",
     lambda answers, labels: positive_share([(word, 1) for word, _ in answers], labels)),
    ("you used only the first answer. Add all up.", lambda a, tags: positive_share(a[:1], tags)),
)
positive_share.also_right(
    lambda answers, labels: sum(p for word, p in answers if labels.get(word) == "pos") / sum(
        p for word, p in answers if labels.get(word)))


@exercise("prompts-row", "the row", "only the text is cut, and only when it has to be.", cases=[
    case(_TEXT, [7], _AFTER, 2, 3, 10, expected=[2, 7, 11, 12, 13, *_AFTER, 3]),  # too long
    case(_TEXT, [7], _AFTER, 2, 3, 13, expected=[2, 7, *_TEXT, *_AFTER, 3]),  # fits exactly
    case(_TEXT, [], _AFTER, 2, 3, 20, expected=[2, *_TEXT, *_AFTER, 3])])  # room to spare
def prompt_row(text: list[int], before: list[int], after: list[int], cls: int, sep: int,
               max_length: int) -> list[int]:
    """Put one row together: [CLS], template, text, template, [SEP].

    text: the ids of the text. If the row would be too long, its last ids are left out.
    before, after: the ids of the template before and after the text; never shortened.
    cls, sep: the ids of [CLS] and [SEP].
    max_length: the largest length of the row, [CLS] and [SEP] included.

    Example: prompt_row([11, 12, 13], [], [21, 4], 2, 3, 6) returns [2, 11, 12, 21, 4, 3].
    """
    room = max_length - len(before) - len(after) - 2
    return [cls, *before, *text[:room], *after, sep]


prompt_row.mistakes(
    ("the row is longer than max_length: shorten the text.", lambda *g: prompt_row(*g[:5], 99)),
    ("the end of the row is cut off, and the mask with it. Cut the text before you put the "
     "template around it.", lambda *given: prompt_row(*given[:5], 99)[:given[5]]),
    ("the end of the template is cut off. Cut the text only.",
     lambda *given: prompt_row(*given[:5], 99)[:-1][:given[5] - 1] + [given[4]]),
    ("the row is too long by two: [CLS] and [SEP] need room as well.",
     lambda *given: prompt_row(*given[:5], given[5] + 2)),
    ("the beginning of the text is cut off. Its end should be left out.",
     lambda text, b, a, *rest: prompt_row(text[2 + len(b + a) - rest[2]:], b, a, *rest)),
    ("the text is one token too short.", lambda *g: prompt_row(*g[:5], g[5] - 1)),
    ("[CLS] and [SEP] are missing.", lambda *given: prompt_row(*given)[1:-1]),
    ("the part of the template before the text is missing.",
     lambda text, b, a, cls, *rest: [cls, *prompt_row(text, b, a, cls, *rest)[1 + len(b):]]),
)
prompt_row.also_right(lambda text, b, a, cls, sep, most: (
    [cls] + b + [x for used, x in enumerate(text, len(b + a) + 3) if used <= most] + a + [sep]))


@exercise("prompts-words", "the logits",
          "these are the numbers of the whole decoder, from a few of its rows.",
          # 3 texts, 6 positions, 4 numbers, 9 tokens, 2 words: no two axes have the same length.
          cases=lambda: [case(torch.arange(72.0).sin().view(3, 6, 4), torch.tensor([2, 4, 3]),
                              torch.arange(36.0).cos().view(9, 4), torch.arange(9.0).cos(),
                              torch.tensor([5, 0]))],
          expected=lambda states, at, weight, bias, words: torch.stack(
              [row[place][words] for row, place in zip(linear(states, weight, bias), at)]))
def word_logits(states: torch.Tensor, positions: torch.Tensor, weight: torch.Tensor,
                bias: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
    """Compute the logits of a few words at one position of each text.

    states: the inputs of the last layer, shape (B, L, H).
    positions: the position of the mask in each text, shape (B,).
    weight, bias: those of the last layer, shapes (V, H) and (V,).
    words: the ids of the words, shape (n,).
    Returns a tensor of shape (B, n).

    Example: with one text, one position and H = 1, states 2, weights [1, 5], biases [0, 3]
    and the word 1, the logit is 2 * 5 + 3 = 13.
    """
    at_mask = states[torch.arange(len(states)), positions]
    return at_mask @ weight[words].T + bias[words]


word_logits.mistakes(
    ("the bias is missing. Each word has one, too.",
     lambda states, at, weight, bias, words: word_logits(states, at, weight, bias * 0, words)),
    ("these are the logits at [CLS], position 0, or at the last one. Take each row's position.",
     lambda states, at, *rest: word_logits(states, at * 0, *rest),
     lambda states, at, *rest: word_logits(states, at * 0 - 1, *rest)),
    ("all rows use the position of the first row. Each has its mask elsewhere.",
     lambda states, at, *rest: word_logits(states, at * 0 + at[0], *rest)),
    ("all positions of all rows are taken. Pair them: states[torch.arange(B), positions].",
     lambda states, at, weight, bias, words: states[:, at] @ weight[words].T + bias[words]),
    ("these are the first entries of the vocabulary. Take the rows that `words` names.",
     lambda *given: word_logits(*given[:4], torch.arange(len(given[4])))),
    ("a softmax was applied. Return the logits as they are.",
     lambda *g: word_logits(*g).softmax(-1), lambda *g: word_logits(*g).log_softmax(-1)),
)
word_logits.also_right(lambda states, at, weight, bias, words: (
    states @ weight.T + bias)[torch.arange(len(at)), at][:, words])


# The multiplication with a diagonal matrix and the normalisation of Zhao et al. (2021).
@exercise("prompts-calibrate", "the probabilities",
          "a text that says nothing now gets the same probability for every label.",
          cases=[case(torch.tensor([[.3, .7], [.1, .9], [.6, .4]]), torch.tensor([.2, .8])),
                 case(torch.tensor([[.5, .3, .2], [.2, .2, .6]]), torch.tensor([.6, .3, .1]))],
          expected=lambda p, free: normalize(p @ torch.diag(free).inverse(), p=1))
def calibrated(probabilities: torch.Tensor, free: torch.Tensor) -> torch.Tensor:
    """Correct probabilities by those of a content-free input.

    probabilities: of the labels, shape (texts, labels).
    free: the probabilities that a content-free input gets, shape (labels,).
    Returns a tensor of shape (texts, labels): each probability divided by the content-free
    one of its label, and then each row divided by its sum.

    Example: calibrated(torch.tensor([[0.2, 0.8]]), torch.tensor([0.2, 0.8]))
    returns tensor([[0.5, 0.5]]).
    """
    divided = probabilities / free
    return divided / divided.sum(1, keepdim=True)


calibrated.mistakes(
    ("nothing has changed: divide by the content-free probabilities.", lambda p, free: p),
    ("the rows do not sum to 1. Divide each by its sum.", lambda p, free: p / free),
    ("the columns sum to 1. A row is one text.", lambda p, free: normalize(p / free, p=1, dim=0)),
    ("a softmax is wrong here: divide by the sum.", lambda p, free: (p / free).softmax(1)),
    ("you multiply by the content-free probabilities. The preference grows: divide by them.",
     lambda p, free: normalize(p * free, p=1)),
    ("you subtract the content-free probabilities. The result can be negative: divide by them.",
     lambda p, free: p - free + 1 / len(free)),
)
calibrated.also_right(lambda p, free: (p.log() - free.log()).softmax(1))
