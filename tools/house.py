"""The size and the order of the house: ``python -m tools.house`` prints them.

``ORDER`` is the one direction of the imports inside the package: a room imports from rooms
before it only. Rooms of one line do not import each other.
"""

import ast
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "companion"
ORDER = (
    ("base",),
    ("corpora", "tokenization", "training", "display"),
    ("checkpoints", "objectives"),
    ("metrics", "generation"),
    ("prompting", "ner"),
    ("pretraining",),
    ("lessons",),
    ("exercises", "doctor"),
    ("__main__",),
)
WINDOW = 6  # lines that are the same in two places are a duplicate


def files(folder: Path) -> list[Path]:
    """The Python files of a folder, in order."""
    return sorted(p for p in folder.rglob("*.py") if "__pycache__" not in p.parts)


def room_of(module: str) -> str:
    """``companion.ner.crf`` -> ``ner``; the package itself is ``""``."""
    return module.split(".")[1] if "." in module else ""


def module_of(path: Path, root: Path = ROOT) -> str:
    """The dotted name of a file."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path, known: set[str]) -> Iterator[tuple[str, str, int]]:
    """``(module, name, line)`` of each import from the package; name is "" for a module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == PACKAGE.name:
                    yield alias.name, "", node.lineno
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == PACKAGE.name:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                if full in known:
                    yield full, "", node.lineno
                else:
                    yield node.module, alias.name, node.lineno


def graph(package: Path = PACKAGE) -> dict[str, set[str]]:
    """Module -> modules of the package that it imports, wherever in the file."""
    root = package.parent
    known = {module_of(p, root) for p in files(package)}
    return {module_of(p, root): {m for m, *_ in imports(p, known)} for p in files(package)}


def against_the_order(arrows: dict[str, set[str]], order=ORDER) -> list[str]:
    """Imports that go to a later room, or to a neighbour of the same line."""
    place = {room: number for number, line in enumerate(order) for room in line}
    return [f"{a} imports {b}" for a, targets in sorted(arrows.items()) for b in sorted(targets)
            if room_of(a) and room_of(b) and room_of(a) != room_of(b)
            and place.get(room_of(a), -1) <= place.get(room_of(b), len(order))]


def circles(arrows: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that reach each other (a package's face is not counted for its parts)."""
    def reach(start: str) -> set[str]:
        seen, todo = set(), [start]
        while todo:
            for target in arrows.get(todo.pop(), ()):
                if target not in seen:
                    seen.add(target)
                    todo.append(target)
        return seen

    reached = {m: reach(m) for m in arrows}
    found = {frozenset(b for b in reached[a] if a in reached.get(b, ())) for a in arrows
             if a in reached[a]}
    return [sorted(group) for group in found]


def foreign_names(package: Path = PACKAGE) -> list[str]:
    """Uses of another module's ``_name``."""
    root, found = package.parent, []
    known = {module_of(p, root) for p in files(package)}
    for path in files(package):
        here = {}
        for module, name, line in imports(path, known):
            if name.startswith("_") and not name.startswith("__"):
                found.append(f"{module_of(path, root)}:{line} {module}.{name}")
            if not name:
                here[module.rsplit(".", 1)[-1]] = module
        for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
            if (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
                    and node.value.id in here and node.attr.startswith("_")
                    and not node.attr.startswith("__")):
                where = f"{module_of(path, root)}:{node.lineno}"
                found.append(f"{where} {here[node.value.id]}.{node.attr}")
    return found


def functions(package: Path = PACKAGE) -> dict[str, int]:
    """Lines of each function with its docstring, decorators apart."""
    return {f"{module_of(path, package.parent)}.{node.name}:{node.lineno}":
            node.end_lineno - node.lineno + 1
            for path in files(package)
            for node in ast.walk(ast.parse(path.read_text(encoding="utf8")))
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}


def lines(folder: Path, blank: bool = True) -> int:
    """Lines of the Python files of a folder, with or without blank ones."""
    return sum(1 for path in files(folder) for line in path.read_text(encoding="utf8").splitlines()
               if blank or line.strip())


def duplicates(folder: Path, window: int = WINDOW) -> list[str]:
    """Places with so many equal lines in a row (blank lines, imports and comments apart)."""
    places = defaultdict(list)
    for path in files(folder):
        kept = [(number, line.strip()) for number, line in
                enumerate(path.read_text(encoding="utf8").splitlines(), 1)
                if line.strip() and not line.lstrip().startswith(("#", "import ", "from "))]
        for i in range(len(kept) - window + 1):
            places["\n".join(line for _, line in kept[i : i + window])].append(
                f"{path.relative_to(folder.parent)}:{kept[i][0]}")
    return [" = ".join(found) for found in places.values() if len(found) > 1]


def report() -> str:
    """All figures as text."""
    arrows, sizes = graph(), functions()
    top = [p.name for p in sorted(PACKAGE.iterdir())
           if p.suffix == ".py" or (p / "__init__.py").is_file()]
    exercises = lines(PACKAGE / "exercises")
    by_room = Counter()
    for path in files(PACKAGE):
        by_room[room_of(module_of(path))] += len(path.read_text(encoding="utf8").splitlines())
    return "\n".join([
        f"companion without exercises: {lines(PACKAGE) - exercises:,} lines",
        f"exercises: {exercises:,} lines",
        f"tests: {lines(ROOT / 'tests', blank=False):,} lines that are not blank",
        f"top of the package: {len(top)} ({', '.join(top)})",
        "rooms: " + ", ".join(f"{room or 'face'} {n:,}" for room, n in by_room.most_common()),
        f"functions: {len(sizes)}, median {median(sizes.values()):g} lines, "
        f"over 50: {[name for name, n in sizes.items() if n > 50]}",
        "against the order: " + ("; ".join(against_the_order(arrows)) or "none"),
        f"circles: {circles(arrows) or 'none'}",
        "foreign names: " + ("; ".join(foreign_names()) or "none"),
        "duplicates: " + ("; ".join(duplicates(PACKAGE)) or "none"),
    ])


if __name__ == "__main__":
    print(report())
