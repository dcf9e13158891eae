# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Sequence to sequence: span corruption, prefixes, tasks
#
# BERT fills gaps of one token each. Many tasks ask for more: a text goes in, and another text of another length comes out.
# This chapter shows the models that do this, and how they are pretrained.
#
# After this chapter you will be able to
#
# - say what an encoder-decoder computes, and what it costs beside a single stack;
# - take spans out of a text, as T5 does, and put them back;
# - say what the decoder reads in training, and find the mistake when it reads too much;
# - draw the attention mask of a prefix language model, and test it;
# - train one model on two tasks that are told apart by a word in front of the text;
# - train a model that puts shuffled words in order, and judge it with BLEU and ROUGE.
#
# Reading and running take about 45 minutes, the exercises about as long again.
# The notebook itself runs in about a minute on two CPU cores.
# Read [Masked language modelling](masked_lm.ipynb) first.

# %% tags=["install", "hide-input"]
# Set-up, written from site.toml: says what to do when the course package is missing.
import importlib.util

if importlib.util.find_spec("companion") is None:
    raise ImportError("The course package is missing. Locally: run `make book`, choose .venv "
                      "as the kernel. On Colab: first set `repository` in site.toml.")

# %%
import json
from pathlib import Path

import numpy as np
import torch
import transformers

from companion import checkpoints, reordering
from companion.corpora import movie_reviews
from companion.display import curves, table
from companion.exercises import check
from companion.objectives import causal, spans
from companion.objectives.masked import IGNORE

# %% [markdown]
# ## One text in, another text out
#
# Think of translating a sentence, or of shortening a review. The input is a row of tokens $x$, the answer another row $y = y_1 \dots y_T$.
# Nobody knows beforehand how long the answer is. So it is written one token after another, and each token depends on the input and on what has been written:
#
# $$p(y \mid x) = \prod_{t=1}^{T} p(y_t \mid y_1 \dots y_{t-1}, x)$$
#
# The answer ends with a special token, the *end of sequence*, or *eos*.
#
# An [encoder-decoder](../book/glossary.md#encoder-decoder) has two stacks of layers for this.
# The [encoder](../book/glossary.md#encoder) reads $x$, and every token of $x$ sees every other.
# The [decoder](../book/glossary.md#decoder) writes $y$ from left to right. In each of its layers it looks at its own tokens so far, and then at the states of the encoder. The second look is called [cross-attention](../book/glossary.md#cross-attention).
#
# The alternative is one stack. It reads $x$ and $y$ as a single row.
# What do the two cost? The next cell builds both, without embeddings and heads, and counts parameters and multiplications for 64 tokens in and 64 tokens out.

# %%
from torch.utils.flop_counter import FlopCounterMode


def cost(model: torch.nn.Module, **ids: torch.Tensor) -> tuple[int, int]:
    """Parameters without embeddings, and operations of one forward pass."""
    embeddings = {id(m.weight) for m in model.modules() if isinstance(m, torch.nn.Embedding)}
    count = sum(p.numel() for p in model.parameters() if id(p) not in embeddings)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        model(**ids, use_cache=False)
    return count, counter.get_total_flops()


def one_stack(layers: int) -> transformers.GPT2Model:
    """A decoder alone, 128 wide."""
    return transformers.GPT2Model(transformers.GPT2Config(
        vocab_size=50, n_positions=128, n_embd=128, n_layer=layers, n_head=4,
        bos_token_id=1, eos_token_id=1))


# %%
two_stacks = transformers.T5Model(transformers.T5Config(
    vocab_size=50, d_model=128, d_kv=32, d_ff=512, num_layers=2, num_heads=4))
text = torch.zeros(1, 64, dtype=torch.long)
both = torch.zeros(1, 128, dtype=torch.long)
costs = {"encoder-decoder, 2 + 2 layers": cost(two_stacks, input_ids=text, decoder_input_ids=text),
         "one stack, 2 layers": cost(one_stack(2), input_ids=both),
         "one stack, 4 layers": cost(one_stack(4), input_ids=both)}
print(table(["model", "parameters", "operations"],
            [[name, f"{p:,}", f"{o:,}"] for name, (p, o) in costs.items()]))
(double, same), (small, base), (_, more) = costs.values()
assert text.numel() == 64 and 2 < double / small < 2.5 and 0.8 < same / base < 1.2 and more / base == 2

# %% [markdown]
# The encoder-decoder has more than twice the parameters of the small stack and needs about as many operations. Its encoder works on the input only and its decoder on the answer only, so a token passes through half of the layers.
# The deep stack has nearly as many parameters and needs twice the operations.
# The authors of T5 compared models on this footing (Raffel et al., 2020, section 3.2.2).
#
# ## Span corruption, by hand
#
# How can such a model learn from plain text? It needs pairs of an input and an answer. [Span corruption](../book/glossary.md#span-corruption) makes them: it takes some [spans](../book/glossary.md#span) out of the text.
#
# - In the input, a mark stands for each span. The mark is called a [sentinel](../book/glossary.md#sentinel), and each span of a text has its own.
# - The target holds the spans, each behind its sentinel. One more sentinel says that the last span has ended.
#
# The smallest function is `encode`. Here it gets eight numbers for tokens, and three for sentinels.

# %%
ids = [11, 12, 13, 14, 15, 16, 17, 18]
inputs, targets = spans.encode(ids, spans=[(2, 4), (6, 7)], sentinels=[91, 92, 93])
print("text   ", ids)
print("inputs ", inputs)
print("targets", targets)
print("again  ", spans.decode(inputs, targets, [91, 92, 93]))
assert spans.decode(inputs, targets, [91, 92, 93]) == ids

# %% [markdown]
# Nothing is lost, and nothing is said twice. Inputs and targets together give the text back, and `decode` does that.
#
# Compare with BERT: a span of several tokens has *one* sentinel. So the input does not say how much is missing. The model must find that out, too.
#
# Now a sentence. Any tokenizer can be given sentinels: they are new entries of its vocabulary. T5 calls them `<extra_id_0>`, `<extra_id_1>` and so on. The token `[SEP]` serves as eos.

# %%
_, tokenizer = checkpoints.load("bert-mini-en")
tokenizer.eos_token = tokenizer.sep_token
tokenizer = spans.with_sentinels(tokenizer)
sentence = ("The first half of the film was long, but the acting was wonderful, "
            "and the ending surprised everyone in the room.")
row = tokenizer(sentence, add_special_tokens=False, return_tensors="pt")["input_ids"]
corruption = spans.SpanCorruption(tokenizer, share=0.3, seed=3)  # 30 %: a short row shows it
batch = corruption(row)
for name in ("input_ids", "labels"):
    print(f"{name:9}", " ".join(tokenizer.convert_ids_to_tokens(batch[name][0].tolist())))
print("restored ", tokenizer.decode(corruption.restore(batch["input_ids"][0], batch["labels"][0])))
assert corruption.restore(batch["input_ids"][0], batch["labels"][0]) == row[0].tolist()

# %% [markdown]
# ## Span corruption, on real rows
#
# T5 takes out 15 % of the tokens, in spans whose mean length is 3 (Raffel et al., 2020, section 3.3.4). Check both on rows of reviews.

# %%
reviews = movie_reviews(collection="rotten_tomatoes")
rows = spans.pack(reviews["train"]["text"], tokenizer, length=128)[:512]
corruption = spans.SpanCorruption(tokenizer)
batch = corruption(rows)
marks = torch.tensor(spans.sentinels(tokenizer))
count = torch.isin(batch["input_ids"], marks).sum().item()
taken = batch["labels"].numel() - 2 * len(rows) - count  # less eos and closing sentinel
print("rows", rows.shape, " inputs", tuple(batch["input_ids"].shape),
      " labels", tuple(batch["labels"].shape))
print(f"taken out {taken / rows.size:.2f}, mean length of a span {taken / count:.1f}")
print("tokens and spans taken from a row:", corruption.counts(128))
back = [corruption.restore(i, t) for i, t in zip(batch["input_ids"], batch["labels"])]
print("every row can be restored:", back == rows.tolist())
assert abs(taken / rows.size - 0.15) < 0.01 and abs(taken / count - 3) < 0.3
assert back == rows.tolist()

# %% [markdown]
# The share does not depend on chance. A row of a given length always loses the same number of tokens in the same number of spans, and only their places are drawn. So all batches have equal shapes. The mean is not exactly 3, because the number of spans is a whole number.
#
# The targets are short, and this saves work. A decoder that wrote the whole text would write one token for each token of the text. The decoder of BART does so: in its *text infilling* each span becomes one `[MASK]`, whatever its length, and the answer is the whole text (Lewis et al., 2020, section 2.2).

# %%
lines = []
for length in (128, 512):
    inputs, targets = corruption.widths(length)
    lines.append([length, inputs, targets, f"{targets / length:.2f}"])
print(table(["tokens of text", "encoder reads", "decoder writes", "share"], lines))
assert targets / length < 0.21

# %% [markdown]
# The decoder writes only about a fifth of the text. This was a reason for the authors of T5 to choose span corruption: it did as well as objectives with long targets, and was cheaper (Raffel et al., 2020, sections 3.3.2 to 3.3.4).
# The other side: a position that the decoder does not write gives no loss. Each text teaches less per reading.
#
# ## What the decoder reads
#
# In use, the decoder reads what it has written itself. In training it would write nonsense at first, and everything after the first mistake would be lost. So in training it reads the *right* tokens: at step $t$ the targets before $t$, whatever it would have written. This is [teacher forcing](../book/glossary.md#teacher-forcing) (Williams and Zipser, 1989).
# It has a second advantage. All steps are known beforehand, so one pass computes them all.
#
# In code it is one shift to the right. The first token is a start token; T5 takes its padding for it.

# %%
toy = torch.tensor([[91, 13, 14, 92, 17, 93, 1, IGNORE]])
read = spans.shift_right(toy, start=0, pad=0)
print(table(["step", *range(8)], [["decoder reads", *read[0].tolist()],
                                  ["is asked for", *toy[0].tolist()]]))

# %% [markdown]
# The −100 at the end is padding of the labels: nothing is asked there.
#
# With that, the loss is the mean [cross-entropy](../book/glossary.md#cross-entropy) over the labels, in [nats](../book/glossary.md#nat). Check `spans.loss` against the loss of T5 in transformers.

# %%
shape = dict(d_model=64, d_kv=16, d_ff=256, num_layers=2, num_heads=4, dropout_rate=0.0)
torch.manual_seed(0)
model = transformers.T5ForConditionalGeneration(transformers.T5Config(
    vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id,
    eos_token_id=tokenizer.eos_token_id, decoder_start_token_id=tokenizer.pad_token_id, **shape))
some = corruption(rows[:16])
with torch.inference_mode():
    ours, theirs = spans.loss(model, some).item(), model(**some).loss.item()
print("equal to the loss of T5ForConditionalGeneration:", abs(ours - theirs) < 1e-5)
assert abs(ours - theirs) < 1e-5

# %% [markdown]
# ## When the shift is forgotten
#
# What if the decoder reads the labels as they are? Then at each step it reads the very token that it is asked for. Attention from left to right does not prevent that, because a position sees itself.
#
# The next cell trains two equal models on sentences from reviews, whose words the later part of this chapter shuffles. One of them lacks the shift. Both are then judged on [held-out](../book/glossary.md#held-out) sentences.

# %%
parts = reordering.splits()
words = reordering.vocabulary(parts["train"])


def unshifted(model, batch: dict) -> torch.Tensor:
    """The mistake: the decoder reads the labels as they are."""
    read = batch["labels"].masked_fill(batch["labels"] == IGNORE, words.pad_token_id)
    return model(**batch, decoder_input_ids=read).loss


held_out = next(reordering.batches(words, parts["validation"], 64, seed=1))
lines, honest = [], {}
for name, loss in (("shifted", spans.loss), ("not shifted", unshifted)):
    learner = reordering.fresh(words, width=64, seed=0)
    history = reordering.train(learner, reordering.batches(words, parts["train"], 32, seed=0),
                               steps=60, peak=1e-2, loss=loss)
    with torch.inference_mode():
        honest[name] = spans.loss(learner, held_out).item()
    lines.append([name, *(f"{x:.0f}" for x in (history[0], np.mean(history[-5:]), honest[name]))])
print(table(["decoder's input", "first loss", "last loss", "held-out loss with the shift"], lines))
print(f"knowing nothing: ln V = {np.log(len(words)):.1f}")
assert np.mean(history[-5:]) < 0.5 and honest["not shifted"] > np.log(len(words))

# %% [markdown]
# Without the shift the loss falls to nearly nothing, which looks like a great success. The model has learned to copy what it reads. When it gets the shifted input, without the answer in it, its loss is higher than that of a model that knows nothing.
#
# Remember this picture. A loss that falls very fast to zero is a reason to look at what the model reads.
#
# ## One stack: the prefix language model
#
# One stack can do the same work. Put $x$ and $y$ into one row, and count the loss on $y$ only.
# In a [prefix language model](../book/glossary.md#prefix-language-modelling) the tokens of $x$, the prefix, see one another in both directions. The tokens of $y$ see what is to their left.
#
# The [attention mask](../book/glossary.md#attention-mask) says who sees whom. Here is a row of four tokens of prefix and three of rest, beside a causal mask, where all tokens see only what is to their left.

# %%
seen = torch.ones(1, 7, dtype=torch.bool)
prefix = spans.prefix_mask(torch.tensor([4]), seen)[0, 0] == 0
plain = spans.prefix_mask(torch.tensor([0]), seen)[0, 0] == 0
print("   prefix LM        causal")
for i in range(7):
    print(i, *("x" if yes else "." for yes in prefix[i]), "  ",
          *("x" if yes else "." for yes in plain[i]))

# %% [markdown]
# Row $i$ says what position $i$ sees. The first four rows are full up to the border, the others end at their own position.
#
# A mask is easy to get wrong, and the loss does not tell you. So test it: change one token, and see which states change.

# %%
torch.manual_seed(0)
stack = transformers.GPT2LMHeadModel(transformers.GPT2Config(
    vocab_size=50, n_positions=16, n_embd=32, n_layer=2, n_head=2, bos_token_id=1, eos_token_id=1,
    initializer_range=0.3, attn_implementation="eager")).eval()
stack.loss_type = "ForCausalLM"  # transformers asks for it when a model was made by hand
line = torch.tensor([[11, 12, 13, 14, 15, 16, 17]])
mask = spans.prefix_mask(torch.tensor([4]), seen)


def states(ids: torch.Tensor) -> torch.Tensor:
    """What the model predicts at each position, (positions, vocabulary)."""
    with torch.inference_mode():
        return causal.logits(stack, ids, attention_mask=mask)[0]


changed = {}
for place in (3, 5):
    other = line.clone()
    other[0, place] = 40
    moved = (states(line) - states(other)).abs().amax(-1) > 1e-4
    changed[place] = moved.nonzero().flatten().tolist()
    print(f"token {place} changed: states that change {changed[place]}")
assert changed == {3: [0, 1, 2, 3, 4, 5, 6], 5: [5, 6]}

# %% [markdown]
# Token 3 is the last one of the prefix, and even state 0 depends on it. Token 5 belongs to the rest, and no state to its left depends on it. So nothing of the answer can leak to the left.
#
# The function `joined` turns a batch for an encoder-decoder into one for a single stack.

# %%
pair = {"input_ids": torch.tensor([[11, 12, 41, 15, 1]]),
        "labels": torch.tensor([[41, 13, 14, 42, 1]])}
row = spans.joined(pair, pad=0)
print("ids   ", row["input_ids"][0].tolist())
print("labels", row["labels"][0].tolist())
with torch.inference_mode():
    ours, theirs = causal.loss(stack, row).item(), stack(**row).loss.item()
print("equal to the loss of GPT2LMHeadModel:", abs(ours - theirs) < 1e-5)
assert abs(ours - theirs) < 1e-5

# %% [markdown]
# Inputs have no label. No shift is needed before the model, because a causal model compares each position with the *next* label by itself.
#
# ## One model, several tasks
#
# T5 turns every task into text in, text out. A few words in front of the input say which task is meant, such as "translate English to German:" (Raffel et al., 2020, section 2.4). Such words are called a [task prefix](../book/glossary.md#task-prefix).
# The word *prefix* has two meanings in this chapter: the first part of a row, and these words.
#
# Does a model really obey them? Test it where the right answer is known. The inputs are four letters, and there are two tasks, *copy* and *reverse*. The same letters have two right answers, so only the task prefix can decide.
#
# Some inputs are set aside. They never occur in training, under either task.

# %%
LETTERS = list("abcdefghij")
TASKS = {"copy": lambda letters: letters, "reverse": lambda letters: letters[::-1]}
letters_only = reordering.vocabulary([" ".join([*TASKS, "double", ":", *LETTERS])] * 2, size=100)
chance = np.random.default_rng(7)
unseen = {tuple(chance.choice(LETTERS, 4)) for _ in range(200)}


def asked(task: str, letters) -> str:
    """The input: task prefix and letters."""
    return f"{task}: {' '.join(letters)}"


def lessons(size: int, seed: int):
    """Batches without end, half of the rows for either task."""
    chance, pad = np.random.default_rng(seed), letters_only.pad_token_id
    while True:
        rows = [tuple(row) for row in chance.choice(LETTERS, (size, 4))]
        rows = [(task, r) for r, task in zip(rows, list(TASKS) * size) if r not in unseen]
        inputs = reordering.encode(letters_only, [asked(task, r) for task, r in rows])
        targets = reordering.encode(letters_only, [" ".join(TASKS[task](r)) for task, r in rows])
        yield reordering.batch(inputs, targets, pad)


# %%
pupil = reordering.fresh(letters_only, width=64, seed=0)
reordering.train(pupil, lessons(64, seed=0), steps=350, peak=4e-3);


def given_to(task: str) -> dict[str, float]:
    """Share of unseen inputs whose answer is right for either task of training."""
    rows = sorted(unseen)
    answers = reordering.answers(pupil, letters_only, [asked(task, r) for r in rows])
    return {name: float(np.mean([answer == " ".join(right(r)) for answer, r in zip(answers, rows)]))
            for name, right in TASKS.items()}


# %%
# NBVAL_IGNORE_OUTPUT
found = {task: given_to(task) for task in (*TASKS, "double")}
print(table(["task prefix", "copied", "reversed"],
            [[task, *(f"{share:.2f}" for share in f.values())] for task, f in found.items()]))
strange = [asked("double", r) for r in sorted(unseen)[:3]]
for question, answer in zip(strange, reordering.answers(pupil, letters_only, strange)):
    print(f"{question} -> {answer}")
assert min(found["copy"]["copy"], found["reverse"]["reverse"]) > 0.9
assert max(found["copy"]["reverse"], found["reverse"]["copy"]) < 0.1

# %% [markdown]
# The first two rows are inputs that the model has never seen. It does what the task prefix says nearly every time.
#
# The third row has a word in front that no training input had. The vocabulary knows this word, but training never asked for anything with it. The model does not refuse, and it does not say that it knows no such task. It answers all the same: it copies some inputs, reverses others, and often does neither.
# A task prefix is no instruction that the model understands. It is a token on which the right answers depended in training.
#
# ## A real task: words in order
#
# Now real text. Take a sentence from a review, shuffle its words, and ask for the sentence. This needs grammar, and some sense.
# The answers cost nothing: they are the sentences themselves.
#
# The sentences have 4 to 10 words, in lower case and without punctuation, so that no capital or full stop shows where an end is. A test sentence is left out if its words, in whatever order, are those of a training sentence.

# %%
print({name: len(part) for name, part in parts.items()})
lengths = {len(s.split()) for part in parts.values() for s in part}
known = {reordering.bag(s) for s in parts["train"]}
print("words:", min(lengths), "to", max(lengths),
      "  asked in training:", sum(reordering.bag(s) in known for s in parts["test"]))
assert (min(lengths), max(lengths)) == (4, 10)
test = parts["test"][:1000]
questions = reordering.shuffled(test, seed=0)
print(questions[5], "->", test[5])

# %% [markdown]
# ## What BLEU and ROUGE see
#
# How good is an answer that is not quite the sentence? Two scores are common.
#
# - [BLEU](../book/glossary.md#bleu) asks which share of the short word sequences of the answer, of one to four words, also stands in the reference. It multiplies the four shares (more exactly, it takes their geometric mean), and has a penalty for answers that are too short. It goes from 0 to 100.
# - [ROUGE](../book/glossary.md#rouge) compares single words (ROUGE-1), pairs of words (ROUGE-2), or the longest common subsequence (ROUGE-L), and is reported here as [F1](../book/glossary.md#f1) from 0 to 1.
#
# The first [baseline](../book/glossary.md#baseline) is to copy the question.

# %%
def shown(found: dict[str, dict[str, float]]) -> str:
    """A table of scores; `exact` is the share of answers equal to the reference."""
    return table(["answers", "BLEU", "ROUGE-1", "ROUGE-2", "ROUGE-L", "exact"],
                 [[name, f"{s['bleu']:.0f}", f"{s['rouge1']:.2f}", f"{s['rouge2']:.2f}",
                   f"{s['rougeL']:.2f}", f"{s['exact']:.2f}"] for name, s in found.items()])


copying = reordering.scores(questions, test)
print(shown({"copying": copying}))
assert copying["rouge1"] > 0.999 and copying["bleu"] < 10

# %% [markdown]
# ROUGE-1 is perfect, and the answers are nonsense. It counts single words, and shuffling changes no word. So for this task it cannot see anything. ROUGE-L is not low either, because in any order some words stand in the right sequence by chance.
# BLEU is low, because longer sequences are destroyed. Always ask what a score cannot see, and run it on a silly baseline first.
#
# The second baseline has no network. It counts in the training sentences how often one word follows another, and searches for the order whose pairs are most frequent.

# %%
pairs = reordering.WordPairs(parts["train"])
by_pairs = [pairs.order(question) for question in questions]
counted = reordering.scores(by_pairs, test)
print(shown({"copying": copying, "word pairs": counted}))
assert counted["bleu"] > copying["bleu"] + 20

# %% [markdown]
# Counting pairs is already far better than copying. A model that beats only copying has not shown much.
#
# ## Train it
#
# The model is a small T5 with random parameters. Each epoch shuffles the words anew, so it hardly meets the same question twice. The training here takes only seconds.

# %%
learner = reordering.fresh(words, width=128, seed=0)
stream = reordering.batches(words, parts["train"], 64, seed=0)
history = reordering.train(learner, stream, steps=100, peak=2e-3)
print(f"loss of the first step {history[0]:.0f}, of the last ten {np.mean(history[-10:]):.0f}")
few, right = questions[:200], test[:200]
free = reordering.answers(learner, words, few)

# %% [markdown]
# At each step `answers` takes the most probable token. This is called [greedy decoding](../book/glossary.md#greedy-decoding). The next cells show answers.
# After so short a training they are no sentences: a few frequent words, often repeated. Words of the question are missing, and others are new.
#
# Yet we know which words may stand in the answer. So forbid all others: at each step, every token that does not continue one of the words that are left gets the score $-\infty$. This is [constrained decoding](../book/glossary.md#constrained-decoding).
# The function `continuations` is the rule. Here are three words, two of which begin with the same token; 1 is eos.

# %%
for written in ([], [12], [12, 13], [12, 13, 11, 12], [12, 13, 11, 12, 14]):
    allowed = reordering.continuations([(11,), (12, 13), (12, 14)], written, eos=1)
    print(f"written {written!s:24} allowed {sorted(allowed)}")

# %% [markdown]
# The method `generate` of transformers takes such a rule as a `LogitsProcessor`: a function that may change the scores before a token is chosen. Here it is `reordering.GivenWords`.

# %%
# NBVAL_IGNORE_OUTPUT
given = reordering.answers(learner, words, few, constrained=True)
for question, answer, ruled in list(zip(few, free, given))[:4]:
    print(f"question    {question}\nfree        {answer}\ngiven words {ruled}\n")
live = {"copying": reordering.scores(few, right), "free": reordering.scores(free, right),
        "given words": reordering.scores(given, right)}
print(shown(live))
assert live["given words"]["bleu"] > live["free"]["bleu"]
assert live["given words"]["words"] == 1 and live["free"]["words"] < 0.2

# %% [markdown]
# After seconds of training, the rule does more than the model. It is fair to use it, because the question gives all the words. But say so when you report: the rule gives perfect ROUGE-1 for nothing, and part of the BLEU.
#
# ## Train it longer
#
# The same code ran for some minutes, with three [seeds](../book/glossary.md#seed), in `benchmarks/reordering.py`. The next cells read its result.

# %%
result = json.loads(Path("../benchmarks/results/reordering.json").read_text())
runs, setting = result["runs"], result["setting"]
print(f"{len(runs)} seeds, {setting['steps']:,} steps of {setting['size']} sentences, "
      f"{setting['asked']:,} test sentences")
print(f"epochs: {setting['steps'] * setting['size'] / setting['sentences']['train']:.1f}")
log = {part: [float(np.mean([run["log"][i][part] for run in runs]))
              for i in range(len(runs[0]["log"]))] for part in ("step", "train", "validation")}
print(table(["step", "training", "validation"],
            [[int(s), f"{a:.2f}", f"{b:.2f}"] for s, a, b in list(zip(*log.values()))[1::2]]))
assert log["train"][-1] < log["validation"][-1] - 0.5
curves({"training": (log["step"], log["train"]), "validation": (log["step"], log["validation"])},
       x="step", y="loss (nats), mean of the seeds")

# %% [markdown]
# The model has read each training sentence a few times by then, with its words in other orders. The training loss is well below the validation loss: the model has begun to learn the sentences by heart, which is [overfitting](../book/glossary.md#overfitting).
#
# Now the scores on the test sentences. The third way of answering is [beam search](../book/glossary.md#beam-search): five beginnings of the answer are kept at each step instead of one.

# %%
def mean(way: str, name: str) -> float:
    """Mean of a score over the seeds."""
    return float(np.mean([run["scores"][way][name] for run in runs]))


ways = list(runs[0]["scores"])
found = result["yardsticks"] | {f"T5, {way}": {name: mean(way, name) for name in copying}
                                for way in ways}
print(shown(found))
bleu = {way: [run["scores"][way]["bleu"] for run in runs] for way in ways}
for way in ways:
    print(f"{way:22} BLEU of the seeds {min(bleu[way]):.1f} to {max(bleu[way]):.1f}, "
          f"share of answers with exactly the given words {mean(way, 'words'):.2f}")

# %%
copied, by_counts = (found[name]["bleu"] for name in ("copying", "word pairs"))
assert abs(copied - copying["bleu"]) < 0.01  # the same questions as above
assert min(bleu["free"]) > copied + 10 and min(bleu["given words, 5 beams"]) > copied + 10
assert min(bleu["given words"]) > max(bleu["free"])
assert min(bleu["given words, 5 beams"]) > max(bleu["given words"])
assert max(bleu["given words, 5 beams"]) < by_counts
assert abs(found["word pairs"]["exact"] - found["T5, given words, 5 beams"]["exact"]) < 0.02
assert found["T5, free"]["rouge1"] < found["copying"]["rouge1"]
print(f"above copying: {np.mean(bleu['free']) - copied:.0f} BLEU free, "
      f"{np.mean(bleu['given words, 5 beams']) - copied:.0f} with the rule and beams")
print(f"word pairs above T5: {by_counts - np.mean(bleu['given words, 5 beams']):.0f} BLEU")

# %% [markdown]
# Read the table slowly.
#
# - Every way of answering is far above copying, with each of the three seeds, also without any rule.
# - The rule helps, and so does beam search, by more than the seeds differ.
# - Free answers seldom have exactly the given words. Their ROUGE-1 is lower than that of copying, although they are much better answers. A table with ROUGE-1 alone would rank copying first.
# - **The counts of word pairs have a higher BLEU than the network.** They use the rule too, and keep more beginnings. In exact answers the two are about equal. A short training on a small text teaches the network much, but not enough to beat plain counts.
#
# Without the second baseline this section would have looked like a success. Compared with copying it is a success. Compared with the simplest model that does the task it is not.
#
# ## Where it fails
#
# The file also holds the order of the words in each answer, as one digit a word. So the answers of the first seed can be written out here.

# %%
def rebuilt(run: dict) -> list[str]:
    """The answers of a run: for every question the places of its words, one digit each."""
    orders = [[int(digit) for digit in order] for order in run["orders"].split()]
    return [" ".join(question.split()[place] for place in order)
            for question, order in zip(questions, orders)]


written = {run["seed"]: rebuilt(run) for run in runs}
first = next(iter(written.values()))
again = reordering.scores(first, test)["bleu"]
print(f"BLEU computed again equals the file: {abs(again - bleu[ways[-1]][0]) < 0.01}")
assert abs(again - bleu[ways[-1]][0]) < 0.01
for answer, reference in list(zip(first, test))[:8]:
    print(f"{'right' if answer == reference else 'wrong'}  {answer}\n       {reference}")

# %% [markdown]
# Look at the last one. It says the same as the reference, in another order, and it counts as wrong, because there is one reference a sentence. A person would accept it. So the scores are lower than they should be, for all ways of answering.
#
# Others begin well and end with words that were left over. What is written cannot be taken back, and the rule then forces the rest out.
#
# Length matters. The next cell gives the share of exact answers for short and for long sentences.

# %%
sizes = np.array([len(sentence.split()) for sentence in test])
lines = []
for low, high in ((4, 5), (6, 7), (8, 10)):
    where = np.flatnonzero((sizes >= low) & (sizes <= high))
    exact = [np.mean([answers[i] == test[i] for i in where])
             for answers in (*written.values(), by_pairs)]
    lines.append([f"{low} to {high}", len(where), f"{np.mean(exact[:-1]):.2f}", f"{exact[-1]:.2f}"])
print(table(["words", "sentences", "T5, mean of the seeds", "word pairs"], lines))
assert float(lines[0][2]) > 2 * float(lines[2][2])

# %% [markdown]
# A sentence of ten words has millions of orders, and one reference. Both methods find it rarely.
#
# ## Take-away
#
# - An encoder-decoder reads one text and writes another. For the same work it has about twice the parameters of a single stack.
# - Span corruption takes spans out of a text, and marks each gap with a sentinel. Inputs and targets together give the text back. The targets are short, which makes training cheap.
# - In training the decoder reads the right tokens, shifted by one. When the shift is forgotten, the loss falls to nearly nothing and the model is useless.
# - A prefix language model does the same work in one stack. Its mask can be tested: change a token, and see which states change.
# - A task prefix selects a task that was trained. An unknown one selects nothing in particular.
# - Ask of each score what it cannot see, and compare with more than one simple baseline.

# %% [markdown]
# ## Exercises
#
# Each exercise is a function without a body.
# Replace `raise NotImplementedError` by your code, run the cell, and run the check below it.
# The check prints ✓, or *not attempted yet*, or a hint.
#
# When you are done, or stuck, compare with the [solutions](sequence_to_sequence_solutions.ipynb).

# %% [markdown]
# ### Exercise 1: take spans out
#
# This is span corruption when the spans are already chosen.
#
# Write `corrupt`.
# It gets a text and its spans, and returns what the encoder reads and what the decoder writes.

# %%
def corrupt(ids: list[int], spans: list[tuple[int, int]], sentinels: list[int]):
    """Take spans out of a text.

    ids: the token ids of the text.
    spans: where each span begins, and the first position after it, from left to right. Two
        spans never touch.
    sentinels: ids of sentinels in their order, more than there are spans.
    Returns two lists, inputs and targets. In the inputs each span has become one sentinel.
    The targets hold each span after its sentinel, and one more sentinel at the end.

    Example: corrupt([11, 12, 13, 14], [(1, 3)], [99, 98, 97])
    returns ([11, 99, 14], [99, 12, 13, 98]).
    """
    raise NotImplementedError

# %%
check("spans-corrupt", corrupt)

# %% [markdown]
# ### Exercise 2: what the decoder reads
#
# In training the decoder reads the right tokens, one step late.
#
# Write `decoder_inputs`.
# The check compares your result with the shift that T5 makes.

# %%
def decoder_inputs(labels: torch.Tensor, start: int, pad: int) -> torch.Tensor:
    """Make what the decoder reads while it is asked for the labels.

    labels: the targets of a batch, shape (B, T), with -100 where nothing is asked. The -100
        stand at the end of a row. The tensor must not be modified.
    start: the id of the token that every row begins with.
    pad: the id of padding, which stands where -100 would.
    Returns ids of shape (B, T): at each step the label of the step before.

    Example: decoder_inputs(torch.tensor([[11, 12, 3, -100, -100]]), 1, 0)
    returns tensor([[1, 11, 12, 3, 0]]).
    """
    raise NotImplementedError

# %%
check("spans-shift", decoder_inputs)

# %% [markdown]
# ### Exercise 3: the mask of a prefix LM
#
# One stack reads input and answer as a single row. The mask keeps the answer from leaking to the left.
#
# Write `prefix_mask`.

# %%
def prefix_mask(prefix: int, length: int) -> torch.Tensor:
    """Say which positions of a row see which.

    prefix: how many positions at the start belong to the prefix, from 0 to length.
    length: the number of positions.
    Returns a boolean tensor of shape (length, length). Its entry [i, j] is True where
    position i sees position j. Each position sees the whole prefix, all that is to its left,
    and itself; it sees nothing else.

    Example: prefix_mask(2, 3) returns
    tensor([[True, True, False], [True, True, False], [True, True, True]]).
    """
    raise NotImplementedError

# %%
check("spans-prefix-mask", prefix_mask)

# %% [markdown]
# ### Exercise 4: what it costs
#
# Before you train, you want to know how large a batch is.
#
# Write `widths`: how long are inputs and targets, for a text of a given length?

# %%
def widths(length: int, share: float, mean: float) -> tuple[int, int]:
    """Return how many positions the inputs and the targets of one text have.

    length: the number of tokens of the text.
    share: the share of them that is taken out. The number is rounded with `round`; at least
        one token is taken.
    mean: the mean length of a span. The number of spans is the number of tokens taken, divided
        by it, rounded with `round`; there is at least one span.
    Inputs and targets both end with one eos.

    Example: widths(20, 0.15, 3.0) returns (19, 6): 17 tokens, a sentinel and eos, and 3 tokens,
    two sentinels and eos.
    """
    raise NotImplementedError

# %%
check("spans-cost", widths)

# %% [markdown]
# ### Exercise 5: a trap in BLEU
#
# BLEU is made from precisions: which share of the answer's word sequences is in the reference? There is a trap for answers that repeat a word.
#
# Write `clipped_precision` for one answer and one reference.
# The check compares your result with the counts of sacrebleu.

# %%
def clipped_precision(answer: str, reference: str, size: int) -> float:
    """Return the share of the answer's word sequences that are in the reference.

    answer, reference: texts; words are separated by spaces.
    size: how many words a sequence has. The answer has at least so many words.
    A sequence that the answer has several times counts at most as often as the reference
    has it.

    Example: clipped_precision("a a film", "a film", 1) returns 2 / 3: one "a" and "film".
    """
    raise NotImplementedError

# %%
check("spans-precision", clipped_precision)

# %% [markdown]
# ### Exercise 6: which words may come next
#
# Constrained decoding forbids all that does not fit. Here is its rule for whole words.
#
# Write `next_words`.

# %%
def next_words(words: list[str], written: list[str]) -> list[str]:
    """Return the words that may come next when each given word must be written once.

    words: the given words, in any order. A word that is given twice is written twice. The
        list must not be modified.
    written: the words written so far, all of them given. It must not be modified either.
    Returns the different words that are left, in alphabetical order, or ["</s>"] when none is
    left.

    Example: next_words(["film", "a"], ["a"]) returns ["film"].
    """
    raise NotImplementedError

# %%
check("spans-next", next_words)
