"""Three families, one budget: trains every variant of the comparison with three seeds.

    python benchmarks/families.py train --runs FOLDER      about an hour on one core; resumes
    python benchmarks/families.py train --only gpt --seeds 13
    python benchmarks/families_measure.py --runs FOLDER    then: what each finished run can do

A run is ``FOLDER/VARIANT-SEED``. Its log is copied to ``results/families/VARIANT-SEED.jsonl``,
from which ``python -m companion compare`` makes the table; the models do not ship.
"""

import shutil
from dataclasses import replace
from pathlib import Path

from options import options, parsed

from companion import storage
from companion.pretraining import build, pretrain
from companion.pretraining.recipe import Recipe

VARIANTS = ("bert", "gpt", "t5", "bert-nsp", "bert-shared", "bert-factorised",
            "bert-plain")
SEEDS = (13, 21, 42)
SMALLEST = {"VARIANTS": ("bert",), "SEEDS": (13,)}


def lend(recipe: Recipe, folder: Path, lender: Path) -> None:
    """Packed rows do not depend on the seed: those of the first seed do for all."""
    if (lender / "packed").is_dir() and not (folder / "packed").exists():
        build.run_folder(recipe, folder)
        storage.write_folder(folder / "packed", lambda new: shutil.copytree(
            lender / "packed", new, dirs_exist_ok=True,
            ignore=shutil.ignore_patterns(storage.MANIFEST)))
        storage.write_text(folder / build.SIGN, build.described(recipe))


def train(runs: Path, logs: Path, recipe: Recipe, variant: str) -> None:
    seed = recipe.seed
    folder = runs / f"{variant}-{seed}"
    lend(recipe, folder, runs / f"{variant}-{SEEDS[0]}")
    pretrain(recipe, folder, progress=True)
    storage.write_text(logs / f"{variant}-{seed}.jsonl", (folder / "log.jsonl").read_text("utf8"))


def smallest(recipe: Recipe) -> Recipe:
    """The same recipe with two steps."""
    return replace(recipe, training=replace(
        recipe.training, tokens=2 * recipe.training.rows * recipe.text.row_length))


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("what", choices=["train"])
    parser.add_argument("--runs", type=Path, default=Path("runs/families"))
    parser.add_argument("--only", choices=VARIANTS, action="append")
    parser.add_argument("--seeds", type=int, nargs="+", )
    args = parsed(parser, globals())
    for seed in args.seeds or SEEDS:
        for variant in args.only or VARIANTS:
            recipe = replace(Recipe.read(f"families-{variant}"), seed=seed)
            if args.smallest:
                recipe = smallest(recipe)
            train(args.runs, args.out / "families", recipe, variant)


if __name__ == "__main__":
    main()
