"""What the two Chinese corpora share: half-width characters and the making of splits."""

import pandas as pd
from datasets import Dataset, DatasetDict, Features

SPLITS = ("train", "validation", "test")

# These five are Chinese punctuation and stay as they are; so do 。、《》“” and the rest,
# which have no half-width twin.
_KEPT = "，：；！？"
_HALF_WIDTH = {
    code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F) if chr(code) not in _KEPT
} | {0x3000: 0x20}


def half_width(text: str) -> str:
    """Full-width digits, letters, brackets and signs as ASCII, one character for one.

    ``"（１２．５％，ＶＣＤ）"`` becomes ``"(12.5%，VCD)"``: the Chinese comma stays. The
    length never changes, so a character keeps its position.
    """
    return text.translate(_HALF_WIDTH)


def to_splits(table: pd.DataFrame, features: Features) -> DatasetDict:
    """Rows of ``table`` by their column ``split``; a split without rows is left out."""
    return DatasetDict(
        {
            split: Dataset.from_pandas(
                table.loc[table["split"] == split, list(features)],
                features=features,
                preserve_index=False,
            )
            for split in SPLITS
            if (table["split"] == split).any()
        }
    )
