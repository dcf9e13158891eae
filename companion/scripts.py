"""Scripts that put no space between words: Chinese, Japanese, Thai, Lao, Khmer, Burmese, Tibetan."""

import re

SPACELESS = re.compile(
    "[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Tibetan; Burmese; Khmer
    "\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u3105-\u312f\u31a0-\u31bf\u31f0-\u31ff"  # kana, others
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f"  # ideographs; half-width kana
    "\U0001b000-\U0001b16f\U00020000-\U000323af]")


def without_spaces(text: str) -> bool:
    """Whether more than a third of the letters are of a script without spaces.

    A Chinese word has one or two letters, so a third of the letters is more than half of the
    words. Digits belong to no script.
    """
    return 3 * len(SPACELESS.findall(text)) > sum(map(str.isalpha, text))
