"""Run every benchmark in a process of its own: `make bench`, or `make bench ARGS=import`.

python -m benchmarks            # all
python -m benchmarks import     # benchmarks/bench_import.py
"""

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent


def main(asked: list[str]) -> int:
    """Run what was asked for, say which goals were missed, and end with 1 if any was."""
    known = {path.stem.removeprefix("bench_"): path.stem for path in FOLDER.glob("bench_*.py")}
    unknown = [name for name in asked if name not in known]
    if unknown:
        print(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(sorted(known))}")
        return 2
    failed = []
    for name in asked or sorted(known):
        print(f"\n== {name}", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{known[name]}"]
        if subprocess.run(command, cwd=FOLDER.parent, check=False).returncode:
            failed.append(name)
    if failed:
        print(f"\nfailed, or missed a goal: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
