"""Check that a wheel and an sdist hold what git tracks for them, and nothing else. Usage: packed.py DIST

The wheel has the package, the schemas within it and its metadata; the sdist has every tracked file but this
repository's own backlog.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

OWN = ("backlog.json", "backlog.archive.json", ".gitattributes", ".taskkeep/")
METADATA = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")


def main(dist: Path) -> int:
    top = Path(__file__).resolve().parent.parent
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=top, capture_output=True, text=True, check=False)
    if listed.returncode:
        print("no checkout of git: what wheel and sdist hold was not compared")
        return 0
    tracked = {name for name in listed.stdout.split("\0") if name}
    (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    name, version = wheel.name.split("-")[:2]

    in_wheel = {path for path in tracked if path.startswith("taskkeep/")}
    in_wheel |= {f"taskkeep/{path}" for path in tracked if path.startswith("schemas/")}
    in_wheel |= {f"{name}-{version}.dist-info/{path}" for path in METADATA}
    in_sdist = {f"{name}-{version}/{path}" for path in tracked if not path.startswith(OWN)}
    in_sdist.add(f"{name}-{version}/PKG-INFO")

    with zipfile.ZipFile(wheel) as archive:
        wrong = differences(wheel.name, set(archive.namelist()), in_wheel)
    with tarfile.open(sdist) as tar:
        wrong += differences(sdist.name, {member.name for member in tar if member.isfile()}, in_sdist)
    print("\n".join(wrong) or f"as git tracks them: {len(in_wheel)} files in the wheel, {len(in_sdist)} in the sdist")
    return bool(wrong)


def differences(name: str, found: set[str], wanted: set[str]) -> list[str]:
    lacking, more = sorted(wanted - found), sorted(found - wanted)
    return [f"{name} lacks {path}" for path in lacking] + [f"{name} should not hold {path}" for path in more]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
