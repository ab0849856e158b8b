"""Write the tables of inputs and outputs into infrastructure's READMEs: `python -m scripts.infrastructure_tables`.

They are read from the modules' .tf files; with `--check` only say which READMEs are out of date.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hcl2

ROOT = Path(__file__).parents[1]
BEGIN = "<!-- Written by `make docs` from the .tf files. -->"
END = "<!-- Until here. -->"


def modules() -> list[Path]:
    """Every folder of infrastructure/ that declares something to others."""
    return sorted(
        path.parent for path in (ROOT / "infrastructure").rglob("outputs.tf") if ".terraform" not in path.parts
    )


def with_tables(module: Path) -> str:
    """The README with its tables as the .tf files have them now. Raises ValueError where it has no place for them."""
    readme = module / "README.md"
    text = readme.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"{readme.relative_to(ROOT)} needs the lines {BEGIN!r} and {END!r}, once each")
    return re.sub(
        f"{re.escape(BEGIN)}.*{re.escape(END)}", lambda _: f"{BEGIN}\n{tables(module)}\n{END}", text, flags=re.S
    )


def tables(module: Path) -> str:
    """Inputs with type, default and meaning, and outputs with their meaning."""
    lines = ["", "| input | type | default | what |", "| --- | --- | --- | --- |"]
    for name, variable in blocks(module, "variable"):
        default = f"`{_plain(variable['default'])}`" if "default" in variable else "required"
        lines.append(f"| `{name}` | `{_plain(variable['type'])}` | {default} | {_plain(variable['description'])} |")
    lines += ["", "| output | what |", "| --- | --- |"]
    lines += [f"| `{name}` | {_plain(output['description'])} |" for name, output in blocks(module, "output")]
    return "\n".join([*lines, ""])


def blocks(module: Path, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and content of each block of a kind, as they stand in the module's files."""
    for file in sorted(module.glob("*.tf")):
        text = file.read_text(encoding="utf-8")
        if f'{kind} "' not in text:
            continue  # most files have none, and parsing takes its time
        for block in hcl2.loads(text).get(kind, []):
            for name, content in block.items():
                yield _plain(name), content


def _plain(value: object) -> str:
    """A value as it is written in HCL, without the marks that the parser puts around it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(_quoted(item) for item in value)}]"
    text = " ".join(str(value).split())
    text = re.sub(r"^\$\{(.*)\}$", r"\1", text)
    return re.sub(r'^"(.*)"$', r"\1", text).replace("|", "\\|")


def _quoted(item: object) -> str:
    return str(item) if isinstance(item, str) else _plain(item)


def main() -> int:
    """Write or check; the exit code: 0 all are current, 1 some were not."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a README is out of date")
    check = parser.parse_args().check
    stale = [
        module for module in modules() if with_tables(module) != (module / "README.md").read_text(encoding="utf-8")
    ]
    for module in stale:
        if check:
            print(f"{(module / 'README.md').relative_to(ROOT)} is out of date: run `make docs`", file=sys.stderr)
        else:
            (module / "README.md").write_text(with_tables(module), encoding="utf-8")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
