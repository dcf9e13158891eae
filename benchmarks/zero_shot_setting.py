"""What ``zero_shot.py`` tries: templates, label words, and which texts are for what."""

from options import few

from companion.corpora import movie_reviews
from companion.prompting import Template, Verbalizer

COLLECTIONS = ("rotten_tomatoes", "imdb")
LENGTH = 128  # tokens, as in pretraining
CUT = "beginning"  # of a long review: its end holds the verdict

TEMPLATES = (
    # after the text, short
    "{text} It was {mask}.",
    "{text} It is {mask}.",
    "{text} {mask}!",
    "{text} A {mask} film.",
    "{text} What a {mask} movie!",
    "{text} In short, a {mask} movie.",
    "{text} In a word: {mask}.",
    "{text} This film is {mask}.",
    "{text} Because it was {mask}.",
    # after the text, longer
    "{text} All in all, it was {mask}.",
    "{text} In the end, it was {mask}.",
    "{text} Overall, this is a {mask} movie.",
    "{text} The result is {mask}.",
    "{text} I thought it was {mask}.",
    "{text} I found this movie simply {mask}.",
    "{text} Was it good or bad? It was {mask}.",
    "{text} My friends asked me how I had liked the film, and I told them that it was {mask}.",
    # before the text
    "It was {mask}. {text}",
    "A {mask} movie: {text}",
    "My opinion of this film: it is {mask}. {text}",
)
FIXED = TEMPLATES[0]  # Schick and Schütze (2021, section 4.1) use it; nothing was chosen

# Written by hand before any of these results, the most usual words first.
POSITIVE = ("great good excellent wonderful amazing fantastic perfect brilliant beautiful "
            "enjoyable superb outstanding fun funny powerful touching delightful charming fresh "
            "clever entertaining interesting moving terrific").split()
NEGATIVE = ("terrible bad awful horrible boring poor stupid disappointing worst dull lame weak "
            "ridiculous pathetic mess waste flat predictable annoying painful disappointment "
            "dreadful slow silly").split()
SIZES = {"1 word": 1, "6 words": 6, "24 words": 24}
CHOSEN = "chosen"

# The training reviews are in the order of a hash, so the first ones are a random sample.
SPREAD = {"rotten_tomatoes": 1600, "imdb": 800}  # labels read: choice of the template
LABELLED = {"rotten_tomatoes": 4000, "imdb": 1600}  # labels read: choice of the words
BORDER = 400  # those after them, labels not read: calibration
FILLERS, POOL, SIZE = 1000, 50, 24  # see companion.prompting.word_choice

SMALLEST = {"movie_reviews": few(movie_reviews, 24), "TEMPLATES": TEMPLATES[:1],
            "SPREAD": dict.fromkeys(SPREAD, 16), "LABELLED": dict.fromkeys(LABELLED, 16),
            "BORDER": 4, "FILLERS": 20, "POOL": 6, "SIZE": 2}


def template(pattern: str) -> Template:
    return Template(pattern, cut=CUT)


def hand_written() -> dict[str, tuple[list[str], list[str]]]:
    """Word sets by name: (negative, positive)."""
    return {name: (NEGATIVE[:size], POSITIVE[:size]) for name, size in SIZES.items()}


def verbalizer(negative: list[str], positive: list[str]) -> Verbalizer:
    return Verbalizer({0: negative, 1: positive}, aggregation="mean")


def reviews(split: str = "train") -> dict:
    return {name: movie_reviews(collection=name)[split] for name in COLLECTIONS}
