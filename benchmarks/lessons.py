"""Whether the lessons of Part II are true of a model: the sentences of ``lessons.toml``, asked.

    python benchmarks/lessons.py [MODEL] [--later] [--text FOLDER]

Prints every answer as it is, and at the end how many were as the lessons need them.
``--later`` asks the twenty sentences that were kept for the end of the training.
``--text FOLDER`` counts in how many lines of the folder's files each sentence occurs.
"""

import argparse
import lzma
import sys
import tomllib
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from companion.checkpoints import load
from companion.corpora.splits import plain
from companion.filling import fill

SENTENCES = Path(__file__).with_suffix(".toml")
SHOWN = 5


def ask(loaded, entry: dict, lists: dict[str, list[str]]) -> bool:
    """Print the first answers to one sentence; whether a wanted word is among them."""
    wanted = entry["wanted"]
    words = lists[wanted] if isinstance(wanted, str) else wanted
    (answers,) = fill(*loaded, entry["text"], SHOWN)
    held = any(word in words for word, _ in answers[: entry["within"]])
    shown = ", ".join(f"{word} {probability:.2f}" for word, probability in answers)
    print(f"{'yes' if held else 'NO ':3}  {entry['text']}\n     {shown}")
    return held


def share(loaded, text: str, first: list[str], second: list[str]) -> float:
    """The probability of the first list at the mask, as a share of both lists."""
    (answers,) = fill(*loaded, text, len(loaded[1]))
    chances = dict(answers)
    one, two = (sum(chances[word] for word in words) for words in (first, second))
    return one / (one + two)


def report(model: str, later: bool = False) -> tuple[int, int]:
    """Print the whole table; how many entries held, and how many there are."""
    data, loaded = tomllib.loads(SENTENCES.read_text(encoding="utf8")), load(model)
    held = [ask(loaded, entry, data) for entry in data["later" if later else "article"]]
    for entry in [] if later else data["shares"]:
        found = share(loaded, entry["text"], entry["first"], entry["second"])
        held.append(found > entry["above"])
        print(f"{'yes' if held[-1] else 'NO ':3}  {entry['text']}\n"
              f"     {', '.join(entry['first'])}: {found:.2f}")
    if not later:
        names = data["names"]
        person, place, prior = (share(loaded, names[which], names["first"], names["second"])
                                for which in ("person", "place", "prior"))
        held.append(person > place + names["apart"])
        print(f"{'yes' if held[-1] else 'NO ':3}  Savaş {person:.2f}, Laris {place:.2f}, "
              f"without a sentence {prior:.2f} (share of {', '.join(names['first'])})")
    print(f"{sum(held)} of {len(held)}")
    return sum(held), len(held)


def occurrences(folder: Path) -> None:
    """Print in how many lines of the texts each sentence occurs, up to its gap."""
    data = tomllib.loads(SENTENCES.read_text(encoding="utf8"))
    starts = [plain(entry["text"].split("[MASK]")[0].strip()) for entry in data["later"]]
    counts = dict.fromkeys(starts, 0)
    for file in sorted(folder.glob("en_*.txt*")):
        with (lzma.open if file.suffix == ".xz" else open)(file, "rt", encoding="utf8") as lines:
            for line in map(plain, lines):
                for start in starts:
                    counts[start] += start in line
    for start, count in counts.items():
        print(f"{count:6}  {start}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])  # writes nothing
    parser.add_argument("model", nargs="?", default="bert-mini-en")
    parser.add_argument("--later", action="store_true")
    parser.add_argument("--text", type=Path)
    arguments = parser.parse_args()
    if arguments.text:
        occurrences(arguments.text)
    else:
        report(arguments.model, arguments.later)
