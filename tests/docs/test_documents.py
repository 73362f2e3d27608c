"""What the documents say is so: tables, links, commands, examples."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

import taskkeep
from taskkeep import errors
from taskkeep.backlog import text
from taskkeep.cli.app import COMMANDS, HIDDEN_OPTIONS, command, group
from taskkeep.importers import FORMATS
from taskkeep.store.config import KEYS, _flat

TOP = Path(__file__).resolve().parent.parent.parent
DOCUMENTS = sorted([*TOP.glob("*.md"), *(TOP / "docs").rglob("*.md")])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")

every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=[str(path.relative_to(TOP)) for path in DOCUMENTS])


def fences(document: Path, language: str) -> list[str]:
    found = FENCE.findall(document.read_text(encoding="utf-8"))
    return [body for name, body in found if name == language]


def command_below(mark: str) -> str:
    """The shell command of the README that stands below a mark."""
    readme = (TOP / "README.md").read_text(encoding="utf-8")
    found = re.search(rf"<!-- command: {mark} -->\n```sh\n(.*?)\n```\n", readme, re.DOTALL)
    assert found, mark
    return found[1]


@pytest.fixture(scope="module")
def make_reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_reference", TOP / "docs" / "make_reference.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@every_document
def test_generated_tables_say_what_the_code_says(document: Path, make_reference: ModuleType) -> None:
    """'python docs/make_reference.py' writes them."""
    found = document.read_text(encoding="utf-8")

    assert make_reference.written(found) == found


@every_document
def test_a_link_to_a_file_leads_somewhere(document: Path) -> None:
    for target in LINK.findall(document.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        found = (document.parent / path) if path else document
        assert found.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", found.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", line).strip().lower().replace(" ", "-") for line in headings}
            assert anchor in anchors, target


@every_document
def test_every_command_shown_is_there_with_its_options(document: Path) -> None:
    for body in fences(document, "sh"):
        for line in body.splitlines():
            for call in re.findall(r"(?:^|[|(&;] *|bin/)taskkeep( [^|;&)]*)?", line):
                check_call(call.partition(" # ")[0])


def check_call(call: str) -> None:
    words = shlex.split(call.replace("…", "x"))
    if not words or words[0].startswith("-") or not words[0].islower():
        return
    assert words[0] in COMMANDS, call
    params = [*command(words[0]).params, *group().params]
    known = {name for param in params for name in (*param.opts, *param.secondary_opts)}
    known |= {hidden for name in known for hidden in HIDDEN_OPTIONS.get(name, ())} | {"--help", "-h"}
    for word in words[1:]:
        if re.match(r"--?[a-zA-Z]", word):
            assert word in known, f"{word} in: taskkeep{call}"


@every_document
def test_every_json_example_is_json(document: Path) -> None:
    for body in fences(document, "json"):
        json.loads(body)


@every_document
def test_every_python_example_uses_what_is_there(document: Path) -> None:
    for body in fences(document, "python"):
        compile(body, str(document), "exec")


def test_the_example_of_the_file_format_is_canonical() -> None:
    (example,) = fences(TOP / "docs" / "file-format.md", "json")

    assert text.dump(text.parse(example.encode())) == example.encode()


def test_every_kind_of_error_stands_in_the_readme_with_its_exit_status() -> None:
    readme = (TOP / "README.md").read_text(encoding="utf-8")
    table = {int(status) for status in re.findall(r"^\| (\d+) \|", readme, re.MULTILINE)}
    kinds = {kind.exit_status for kind in errors.TaskkeepError.__subclasses__()}

    assert table == kinds | {0, 1, errors.TaskkeepError.exit_status}


def test_codes_are_documented_once_each(make_reference: ModuleType) -> None:
    codes = re.findall(r"^\| `(\w+)` \| (\d+)", make_reference.codes(), re.MULTILINE)

    assert len(codes) == len({code for code, _ in codes}), "one code, several errors"


def test_every_configuration_shown_is_one() -> None:
    for document in DOCUMENTS:
        for body in fences(document, "toml"):
            for name, value in _flat(tomllib.loads(body)).items():
                allowed = KEYS[name].allowed
                assert isinstance(value, allowed) if isinstance(allowed, type) else value in allowed, name


@pytest.mark.parametrize("name", KEYS)
def test_a_key_of_the_configuration_is_read_where_the_table_says(name: str) -> None:
    """A key that nothing reads would be a promise that nobody keeps."""
    path = TOP.joinpath(*KEYS[name].user.split(".")).with_suffix(".py")

    assert re.search(rf"[\"']{re.escape(name)}[\"']", path.read_text(encoding="utf-8"))


def test_every_import_format_is_documented() -> None:
    document = (TOP / "docs" / "import.md").read_text(encoding="utf-8")

    assert all(f"- **{name}**:" in document for name in FORMATS)


def test_every_decision_is_listed() -> None:
    folder = TOP / "docs" / "decisions"
    listed = set(LINK.findall((folder / "README.md").read_text(encoding="utf-8")))

    assert listed == {path.name for path in folder.glob("0*.md")}


def test_the_changelog_begins_with_this_version() -> None:
    changelog = (TOP / "CHANGELOG.md").read_text(encoding="utf-8")
    found = re.search(r"^## (\S+)", changelog, re.MULTILINE)

    assert found
    assert found[1] == taskkeep.__version__


def test_the_version_stands_in_one_place() -> None:
    """Beside it only the changelog names it: a release changes two lines."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=TOP, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("no checkout of git")
    names = [name for name in listed.stdout.split("\0") if name]
    paths = [TOP / name for name in names if not name.startswith((".taskkeep/", "backlog."))]
    naming = {
        str(path.relative_to(TOP))
        for path in paths
        if path.is_file() and f" {taskkeep.__version__}" in re.sub(r"[\"'v-]", " ", path.read_text("utf-8", "replace"))
    }

    assert naming == {"taskkeep/__init__.py", "CHANGELOG.md"}


# -- how the project is checked ------------------------------------------------------------


def test_ci_takes_its_test_command_from_the_readme() -> None:
    """The lines of .ci/run that read it give the very command."""
    script = (TOP / ".ci" / "run").read_text(encoding="utf-8")
    found = re.search(r"^command=\$\((.*)\)$", script, re.MULTILINE)
    assert found
    read = subprocess.run(["bash", "-c", found[1]], cwd=TOP, capture_output=True, text=True, check=True)

    assert read.stdout.strip() == command_below("tests")
    assert 'bash -euo pipefail -c "$command"' in script


def test_the_readmes_commands_install_by_themselves_and_run_the_demo_and_the_tests() -> None:
    assert command_below("demo").endswith("taskkeep demo")
    assert "pytest" in command_below("tests")
    for mark in ("demo", "tests"):
        assert command_below(mark).startswith("python3 -m venv .venv && .venv/bin/pip install")


def test_workflows_pin_every_action_by_its_full_commit_and_ask_for_no_rights() -> None:
    for path in (TOP / ".github" / "workflows").glob("*.yml"):
        workflow = path.read_text(encoding="utf-8")
        uses = re.findall(r"uses: (\S+)(.*)", workflow)
        assert uses
        for action, comment in uses:
            if action.startswith("./"):  # of a commit that was checked out
                continue
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action), action
            assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment), action
        assert "permissions:\n  contents: read\n" in workflow
        assert workflow.count("persist-credentials: false") == workflow.count("uses: actions/checkout@")


def test_workflows_test_every_python_that_the_package_names() -> None:
    with (TOP / "pyproject.toml").open("rb") as file:
        classifiers = tomllib.load(file)["project"]["classifiers"]
    named = [line.rpartition(" ")[2] for line in classifiers if re.search(r":: 3\.\d+$", line)]
    workflow = (TOP / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")

    assert f"python: {json.dumps(named)}" in workflow


def test_a_picture_is_made_of_what_a_terminal_showed(tmp_path: Path) -> None:
    """It holds the text and asks nobody for fonts."""
    pytest.importorskip("pty")
    spec = importlib.util.spec_from_file_location("make_pictures", TOP / "docs" / "make_pictures.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    shown = module.shown_by([sys.executable, "-c", r"print('\x1b[1mbold\x1b[0m', __import__('sys').stdout.isatty())"])
    svg = module.picture(shown, "title")

    assert "bold" in svg
    assert "True" in svg
    assert "url(" not in svg.replace("url(#", "")


@every_document
def test_tests_that_documents_name_are_there(document: Path) -> None:
    for name, function in re.findall(
        r"`(?:[\w ]+ )?(?:tests/[\w/]*)?(test_\w+\.py)(?:::(\w+))?`", document.read_text("utf-8")
    ):
        files = list((TOP / "tests").rglob(name))
        assert files, name
        assert any(f"def {function}(" in file.read_text("utf-8") for file in files) or not function, function
