"""Write the generated files, or check that they are up to date."""

import argparse
import sys
from pathlib import Path

from personae.tools.docgen.generated_files import generated


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return 1 if ``--check`` finds a file that is out of date."""
    parser = argparse.ArgumentParser(prog="python -m personae.tools.docgen", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing, name what differs")
    parser.add_argument("--root", type=Path, default=Path(), help="project root (default: here)")
    options = parser.parse_args(arguments)
    stale = 0
    for name, text in generated(options.root).items():
        path = options.root / name
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        stale += 1
        if options.check:
            print(f"{name}: out of date; run make schema", file=sys.stderr)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"wrote {name}")
    return int(options.check and stale > 0)


if __name__ == "__main__":
    sys.exit(main())
