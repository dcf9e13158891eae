"""The article's code, faults and all, on three calls of its kind.

The class stands in ``companion/prompting/literal.py``, so that the chapter can import it too;
``article_faults.py`` measures it against the repaired one.

Run ``python benchmarks/literal_prompting.py``; it writes nothing.
"""

from companion import checkpoints
from companion.prompting import literal
from companion.prompting.literal import LiteralPrompting

__all__ = ["LiteralPrompting"]
PROMPT = "Because it was [MASK]."
PRAISE, BLAME = "I really like the film a lot.", "this movie makes me very disgusting."
CALLS = (  # two words against two; two against three; its own spellings
    (["great", "good"], ["bad", "terrible"]),
    (["great", "good"], ["bad", "awful", "terrible"]),
    (["great", "amazin", "good"], ["bad", "awfull", "terrible"]),
)


def main() -> None:
    article = LiteralPrompting(checkpoints.folder("bert-mini-en"))
    for text in (PRAISE, BLAME):
        best = article.prompt_pred(f"{text} {PROMPT}")[:5]
        print(text, [(token, round(float(score), 1)) for token, score in best])
        for lists in CALLS:
            first, second = article.compute_tokens_prob(f"{text} {PROMPT}", *lists).tolist()
            print(f"   {first:.3f} {second:.3f}  {lists}")
    literal.tokenizer = article.tokenizer  # fine_tune reads a global of this name
    article.fine_tune([PRAISE, BLAME], [0, 1])
    print("after two sentences:", article.prompt_pred(f"{PRAISE} {PROMPT}")[0])


if __name__ == "__main__":
    main()
