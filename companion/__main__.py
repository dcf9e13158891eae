"""The command line: ``python -m companion pretrain | fill-mask | ner | compare | doctor``.

Exit codes: 0 done, 1 a problem (one line on standard error), 2 wrong usage, 130 stopped
with Ctrl-C, 141 nobody reads the output any more.
"""

import argparse
import os
import re
import sys
import warnings
from collections.abc import Sequence

# What needs torch is imported by the command that uses it, so that --help is quick.
from companion import storage
from companion.errors import CourseError


def pretrain(arguments: argparse.Namespace) -> int:
    from companion.pretraining import Recipe
    from companion.pretraining import pretrain as run

    recipe = Recipe.read(arguments.recipe)
    if arguments.start:
        recipe.model.start = arguments.start
    out = arguments.out or f"runs/{recipe.name}"
    if int(os.environ.get("RANK", 0)) == 0:
        processes = os.environ.get("WORLD_SIZE", "1")
        print(f"{recipe.name}: {recipe.steps:,} steps, {processes} process(es), into {out}")
    try:
        model = run(recipe, out, arguments.text, rows=arguments.rows or ())
    except KeyboardInterrupt:
        print("stopped; the same command goes on from the last saved state", file=sys.stderr)
        return 130
    print(f"finished: {model}")
    return 0


def pack(arguments: argparse.Namespace) -> int:
    from pathlib import Path

    from companion.pretraining import Recipe, build, parts

    recipe, out = Recipe.read(arguments.recipe), Path(arguments.out)
    folder = None if arguments.text is None else Path(arguments.text)
    build.run_folder(recipe, out)
    build.check(recipe, folder)
    build.prepare(recipe, out, folder)
    for file in parts.write_parts(out / "packed", out, recipe.name):
        print(file)
    return 0


def fill_mask(arguments: argparse.Namespace) -> int:
    from companion.checkpoints import OtherKindError, load
    from companion.filling import fill

    if arguments.top < 1:
        raise CourseError(f"--top is {arguments.top}: give 1 or more")
    _refuse_no_text(arguments.text)
    try:
        model, tokenizer = load(arguments.model)
    except OtherKindError as problem:
        raise CourseError(f"{arguments.model} is no masked model, so it fills no gap (its kind: "
                          f"{problem.own}): name one such as bert-mini-en") from None
    answers = fill(model, tokenizer, arguments.text, arguments.top)
    for number, answer in enumerate(answers, 1):
        if len(answers) > 1:
            print(f"gap {number}")
        for token, probability in answer:
            print(f"{probability:7.3f}  {token}")
    return 0


def ner(arguments: argparse.Namespace) -> int:
    from companion import display_entities
    from companion.ner.tagger import AlbertTagger

    _refuse_no_text(arguments.text)
    if arguments.html is not None:
        storage.page_for(arguments.html)
    (found,) = AlbertTagger.from_pretrained(arguments.model).predict([arguments.text])
    show = display_entities.ansi if sys.stdout.isatty() else display_entities.brackets
    print(show(arguments.text, found))
    if not found:
        print("no entity found")
    for entity in found:
        print(f"{entity.score:7.3f}  {entity.type}  {entity.start}-{entity.end}")
    if arguments.html is not None:
        storage.write_page(arguments.html, display_entities.page([arguments.text], [found]))
    return 0


def _refuse_no_text(text: str) -> None:
    """Python keeps half a character for each byte of the command line that is no text."""
    from companion.guards import checked_text

    checked_text(text)


def compare(arguments: argparse.Namespace) -> int:
    from companion.comparison import Comparison

    found = Comparison.read(arguments.results)
    print(found.table())
    print("\nMean ± standard deviation over the seeds. * zero lies outside the 95 % interval "
          "(Student's t).")
    if beside := found.measures.get("baseline"):
        one = beside[0]
        print(f"The largest class: {one['majority']:.3f}. The real continuations: "
              f"{one['real']['bits']:.2f} bits a token, {one['real']['repeated']:.3f} repeated.")
    return 0


def doctor(arguments: argparse.Namespace) -> int:
    from companion.doctor import report

    return report()


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="python -m companion",
        description="Pretrain a model by recipe, fill a gap, find names, compare families, "
        "check the installation.",
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    one = commands.add_parser(
        "pretrain", help="train a checkpoint by a recipe, or go on with a stopped run",
        epilog="example: python -m companion pretrain bert-mini-en --text my-texts   "
        "(several processes: torchrun --nproc_per_node 2 -m companion pretrain ...)",
    )
    one.add_argument("recipe", metavar="RECIPE", help="a TOML file, or a course recipe's name")
    one.add_argument("--text", metavar="FOLDER", help="folder of the files the recipe names")
    one.add_argument("--out", metavar="FOLDER", help="where the run is kept (runs/NAME)")
    one.add_argument("--rows", metavar="FILE", nargs="+",
                     help="packed rows of another machine instead of the text (see pack)")
    one.add_argument("--start", metavar="FOLDER", help="start from here, not from the recipe's")
    one.set_defaults(run=pretrain)
    six = commands.add_parser(
        "pack", help="pack the text of a recipe into rows, for a machine without the text",
        epilog="example: python -m companion pack bert-mini-en --text my-texts --out rows   "
        "(there: python -m companion pretrain bert-mini-en --rows rows/*.npz)",
    )
    six.add_argument("recipe", metavar="RECIPE", help="a TOML file, or a course recipe's name")
    six.add_argument("--text", metavar="FOLDER", help="folder of the files the recipe names")
    six.add_argument("--out", metavar="FOLDER", required=True, help="where the rows are written")
    six.set_defaults(run=pack)
    two = commands.add_parser(
        "fill-mask", help="the most probable tokens for each [MASK] of a text",
        epilog='example: python -m companion fill-mask "The film was [MASK]."',
    )
    two.add_argument("text", metavar="TEXT", help="a text with at least one [MASK]")
    two.add_argument("--model", default="bert-mini-en",
                     help="a course checkpoint, a folder or a hub id (bert-mini-en)")
    two.add_argument("--top", type=int, default=5, help="how many tokens (5)")
    two.set_defaults(run=fill_mask)
    four = commands.add_parser(
        "ner", help="the named entities of a text, highlighted",
        epilog='example: python -m companion ner "江泽民主席昨天在北京会见了克林顿。" --html page.html',
    )
    four.add_argument("text", metavar="TEXT", help="a text, Chinese for the course's own tagger")
    four.add_argument("--model", default="albert-ner-zh",
                      help="a course checkpoint, a tagger's folder or a hub id (albert-ner-zh)")
    four.add_argument("--html", metavar="FILE", help="write a page with the highlighted text too")
    four.set_defaults(run=ner)
    five = commands.add_parser(
        "compare", help="the table of three families with one budget, from the committed logs",
        epilog="example: python -m companion compare   (the chapter three_families explains it)",
    )
    five.add_argument("--results", metavar="FOLDER",
                      help="folder with families.jsonl and families/ (benchmarks/results)")
    five.set_defaults(run=compare)
    three = commands.add_parser(
        "doctor", help="versions, data, checkpoints, this machine; what to mend",
        epilog="exit code 0: everything needed is there; 1: a line says FAIL",
    )
    three.set_defaults(run=doctor)
    return top


def _show_warning(message, *_, **__) -> None:
    """In one line, without the place in the code, which is nothing for a terminal."""
    print(f"warning: {message}", file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    if sys.stdout is None:  # closed by the shell, with >&-
        sys.stdout = open(os.devnull, "w", encoding="utf8")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # what a terminal cannot show becomes its number
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _run(parser().parse_args(_texts_last(sys.argv[1:] if argv is None else argv)))
        sys.stdout.flush()
        return code
    except OSError as problem:
        if problem.filename is not None:  # a file is no matter of the output
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for Python's own flush
        if isinstance(problem, BrokenPipeError):  # who read it, such as head, has enough
            return 141
        print(f"error: the output cannot be written ({problem.strerror}): make room, or send it "
              "elsewhere", file=sys.stderr)
        return 1


def _run(arguments: argparse.Namespace) -> int:
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            return arguments.run(arguments)
    except CourseError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _texts_last(argv: Sequence[str]) -> list[str]:
    """The arguments with a text such as "-北京" after "--", so that it is not an option."""
    if "--" in argv:
        return list(argv)
    texts = [word for word in argv if re.match(r"-+(?![A-Za-z0-9-]|$)", word)]
    return [word for word in argv if word not in texts] + ["--", *texts] * bool(texts)


if __name__ == "__main__":
    sys.exit(main())
