"""The places where agents run: little may be written, little is set, nobody looks on. Real processes, real permissions."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX permissions and signals")

ROOT = str(Path(__file__).parents[2])
READS = (["list"], ["ready"], ["show", "ID"], ["search", "one"], ["log"], ["status"], ["prime"], ["blame", "ID"])
# What takes from root the right to pass over permissions.
AS_A_USER = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]


class Answer:
    """How a process ended."""

    def __init__(self, done: subprocess.CompletedProcess[bytes]) -> None:
        self.status = done.returncode
        self.out, self.err = done.stdout.decode(), done.stderr.decode()

    @property
    def json(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.out)
        return value

    @property
    def error(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.err)["error"]
        return value


class Sandbox:
    """A repository with two tasks, and the program in a process of its own, with little more than PATH set."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder.parent / "home"
        self.home.mkdir()
        (self.home / ".gitconfig").write_text("[user]\n\tname = Ada\n\temail = ada@example.invalid\n")
        self.env = {"PATH": os.environ["PATH"], "HOME": str(self.home), "GIT_CONFIG_NOSYSTEM": "1", "PYTHONPATH": ROOT}
        subprocess.run(["git", "init", "-q", str(folder)], check=True, env=self.env)
        assert self("init").status == 0
        self.task = self("add", "one").out.strip()
        self("add", "two")

    def __call__(self, *args: str, stdin: bytes | None = b"", without: str = "", **env: str) -> Answer:
        """Run a command; *stdin* None: closed. *without*: a variable that is not set."""
        values = {name: value for name, value in {**self.env, **env}.items() if name != without}
        more: dict[str, Any] = {"input": stdin} if stdin is not None else {"preexec_fn": lambda: os.close(0)}
        command = [*self.as_a_user(), sys.executable, "-m", "taskkeep", *args]
        done = subprocess.run(command, cwd=self.folder, env=values, capture_output=True, check=False, **more)
        return Answer(done)

    @staticmethod
    def as_a_user() -> list[str]:
        return AS_A_USER if os.geteuid() == 0 else []

    def git(self, *args: str) -> str:
        done = subprocess.run(["git", *args], cwd=self.folder, env=self.env, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def forbid(self, *paths: Path) -> None:
        """Take the right to write from everything below *paths*."""
        for path in (found for top in paths for found in (*top.rglob("*"), top)):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode & ~0o222)

    def allow(self) -> None:
        for path in (self.folder, *self.folder.rglob("*")):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | 0o200)


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    if os.geteuid() == 0 and (shutil.which("setpriv") is None or not _is_bound(tmp_path)):
        pytest.skip("root may write all here")
    made = Sandbox(tmp_path / "repository")
    yield made
    made.allow()


def _is_bound(folder: Path) -> bool:
    test = folder / "test"
    test.mkdir(mode=0o500)
    return subprocess.run([*AS_A_USER, "touch", str(test / "x")], capture_output=True, check=False).returncode != 0


def test_a_read_only_git_folder_makes_a_commit_wait(sandbox: Sandbox) -> None:
    """The change stands and says so; the next writer that may commits what waits, before its own."""
    head = sandbox.git("rev-parse", "HEAD")
    sandbox.forbid(sandbox.folder / ".git")
    answer = sandbox("claim", "--key", "k", "--json").json
    assert (answer["changed"], answer["commit"], answer["pending"]) == (True, None, True)
    assert any("its commit waits" in warning for warning in answer["warnings"])
    assert sandbox("claim", "--key", "k", "--json").json["pending"]
    plain = sandbox("note", answer["task"]["id"], "begun")
    assert (plain.status, "pending" in plain.err) == (0, True)
    assert sandbox("status", "--json").json["pending"]
    for read in READS:
        assert sandbox(*(sandbox.task if arg == "ID" else arg for arg in read)).status == 0, read
    assert sandbox.git("rev-parse", "HEAD") == head
    sandbox.allow()
    assert not sandbox("add", "three", "--json").json["pending"]
    assert sandbox.git("rev-list", "--count", f"{head}..HEAD") == "2"
    assert sandbox("verify", "--json").json["findings"] == []


def test_a_read_only_file_system_is_read(sandbox: Sandbox) -> None:
    """And a writer says what is wrong; nothing is half done."""
    before = (sandbox.folder / "backlog.json").read_bytes()
    sandbox.forbid(sandbox.folder)
    for read in (*READS, ["verify"]):
        answer = sandbox(*(sandbox.task if arg == "ID" else arg for arg in read), TMPDIR="/nowhere")
        assert (answer.status, "Traceback" in answer.err) == (0, False), (read, answer.err)
    for write in (["add", "x"], ["claim"], ["done", sandbox.task], ["batch", "-"], ["restore", "--at", "HEAD~1"]):
        answer = sandbox(*write, "--json", stdin=b'{"op": "add", "title": "x"}')
        assert (answer.status, answer.error["exit"]) == (7, 7), (write, answer.error)
        assert "read-only" in answer.error["message"].lower() or "permission" in answer.error["message"].lower()
    sandbox.allow()
    assert (sandbox.folder / "backlog.json").read_bytes() == before
    assert sandbox("verify").status == 0


def test_without_an_identity_nothing_is_committed_in_a_strangers_name(sandbox: Sandbox) -> None:
    """A hint says what to set; --no-commit saves all the same, in the name that --actor gives."""
    (sandbox.home / ".gitconfig").write_text("[user]\n\tuseConfigOnly = true\n")
    answer = sandbox("add", "x", "--json")
    assert (answer.status, "user.name" in answer.error["hint"]) == (7, True)
    saved = sandbox("add", "x", "--no-commit", "--actor", "agent-1", "--json").json
    assert (saved["pending"], saved["task"]["created_by"]) == (True, "agent-1")
    names = {f"GIT_{who}_{what}": "x@y.z" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    assert sandbox("add", "y", "--actor", "agent-1", **names).status == 0
    assert sandbox.git("log", "-1", "--format=%an") == "x@y.z"
    for read in READS:
        assert sandbox(*(sandbox.task if arg == "ID" else arg for arg in read)).status == 0, read


@pytest.mark.parametrize("home", ["", "/nowhere", "relative"])
def test_a_home_is_not_needed(sandbox: Sandbox, home: str) -> None:
    """Not set, not there or nonsense."""
    sandbox.git("config", "user.name", "Ada")
    sandbox.git("config", "user.email", "ada@example.invalid")
    answer = sandbox("add", "x", "--json", HOME=home, without="" if home else "HOME")
    assert (answer.status, answer.err) == (0, "")
    assert not answer.json["pending"]
    assert sandbox("prime", HOME=home, without="" if home else "HOME").status == 0


def test_nothing_is_asked_and_nothing_waits_for_a_terminal(sandbox: Sandbox) -> None:
    """With stdin closed or empty; a dumb terminal gets no colours."""
    for stdin in (None, b""):
        assert sandbox("restore", "--at", "HEAD~1", "--dry-run", stdin=stdin).status == 0
        assert sandbox("edit", sandbox.task, stdin=stdin, EDITOR="").status == 2
        assert sandbox("add", "-", stdin=stdin).status == 4
        assert sandbox("batch", "-", stdin=stdin).status in (0, 4)
        assert sandbox("done", sandbox.task, "--dry-run", stdin=stdin).status == 0
        assert "\x1b" not in sandbox("list", stdin=stdin, TERM="dumb").out
        assert "\x1b" not in sandbox("lst", stdin=stdin, TERM="dumb").err


def test_an_unwritable_temporary_folder_is_no_obstacle(sandbox: Sandbox) -> None:
    assert sandbox("add", "x", TMPDIR="/nowhere").status == 0
    assert sandbox("apply", "-", stdin=(sandbox.folder / "backlog.json").read_bytes(), TMPDIR="/nowhere").status == 0


@pytest.fixture
def shell(sandbox: Sandbox) -> Callable[[str], Answer]:
    def run(script: str) -> Answer:
        env = {**sandbox.env, "PY": sys.executable}
        script = 'taskkeep() { "$PY" -m taskkeep "$@"; }; set -o pipefail; ' + script
        done = subprocess.run(["bash", "-c", script], cwd=sandbox.folder, env=env, capture_output=True, check=False)
        return Answer(done)

    return run


def test_a_reader_whose_pipe_is_closed_ends_well(sandbox: Sandbox, shell: Callable[[str], Answer]) -> None:
    """However much it had to say."""
    lines = b"".join(b'{"op": "add", "title": "%s"}\n' % (b"x" * 400) for _ in range(800))
    assert sandbox("batch", "-", stdin=lines).status == 0
    for command in ("list --limit 0", "list --limit 0 --json", "log --limit 0", "list --limit 0 --format jsonl"):
        answer = shell(f"taskkeep {command} | head -c 100")
        assert (answer.status, answer.err, len(answer.out)) == (0, "", 100), command


def test_huge_answers_are_bounded_and_say_what_is_left(sandbox: Sandbox) -> None:
    lines = b"".join(b'{"op": "add", "title": "task %d"}\n' % number for number in range(998))
    sandbox("batch", "-", stdin=lines)
    for command, most in (("list", 50), ("search task", 50), ("ready", 10)):
        answer = sandbox(*command.split(), "--json").json
        assert (len(answer["tasks"]), answer["next"]) == (most, most)
        assert answer["total"] >= 998
        plain = sandbox(*command.split())
        assert len(plain.out.splitlines()) == most
        assert f"--offset {most}" in plain.err


def test_a_writer_whose_pipe_is_closed_saves_all_the_same(sandbox: Sandbox, shell: Callable[[str], Answer]) -> None:
    for number, redirection in enumerate((">&-", "| true", "<&- >&- 2>&-")):
        answer = shell(f"taskkeep add 'closed {number}' {redirection}")
        assert (answer.status, answer.err) == (0, "")
    titles = {task["title"] for task in sandbox("list", "--json").json["tasks"]}
    assert {"closed 0", "closed 1", "closed 2"} <= titles


TEXT = "`ls` $HOME \"quoted\" 'single' \\n %s {0}\n\ttabbed *.py !1 ; rm -rf x\n日本語 नमस्ते 👩‍👩‍👧 ﷽ <b>&amp;</b>"


def test_text_arrives_as_it_was_sent_by_every_way_in(sandbox: Sandbox) -> None:
    """As an argument, from stdin, from a file, in an object and in a batch; and comes out the same."""
    (sandbox.folder / "text.md").write_text(TEXT, encoding="utf-8")
    ways = [
        (["add", "one", "-d", TEXT], b""),
        (["add", "two", "-d", "-"], TEXT.encode()),
        (["add", "three", "-d", "@text.md"], b""),
        (["add", "-"], json.dumps({"title": "four", "description": TEXT}).encode()),
        (["add", "-"], json.dumps({"title": "five", "description": TEXT}, ensure_ascii=False).encode()),
    ]
    for args, stdin in ways:
        answer = sandbox(*args, "--json", stdin=stdin, LC_ALL="C")
        assert answer.json["task"]["description"] == TEXT, args
        task_id = answer.json["task"]["id"]
        assert sandbox("show", task_id, "--json").json["task"]["description"] == TEXT
        note = sandbox("note", task_id, "-", "--json", stdin=TEXT.encode()).json
        assert note["tasks"][0]["notes"][0]["text"] == TEXT
    batch = json.dumps({"op": "note", "id": task_id, "text": TEXT, "why": TEXT}).encode()
    assert sandbox("batch", "-", "--json", stdin=batch).json["tasks"][0]["notes"][1]["text"] == TEXT
    assert sandbox("log", "--limit", "1", "--json").json["events"][0]["why"] == TEXT
    assert sandbox("verify", "--json").json["findings"] == []


def test_what_another_user_left_here_is_named(sandbox: Sandbox) -> None:
    """As after one `sudo taskkeep add`: verify does without the snapshots of others, doctor names what bars writers."""
    local = sandbox.folder / ".taskkeep" / "local"
    (local / "backups").chmod(0)
    (local / "lock").chmod(0o400)
    judged = sandbox("verify", "--json")
    assert (judged.status, [one["code"] for one in judged.json["findings"]]) == (0, ["damaged_backup"])
    named = sandbox("doctor", "--json")
    assert (named.status, named.json["findings"][0]["code"]) == (1, "disk")
    assert ".taskkeep/local/backups, .taskkeep/local/lock" in named.json["findings"][0]["message"]
    assert sandbox("show", sandbox.task, "--at", "nothing", "--json").error["exit"] == 3
    assert "permissions" in sandbox("backups", "list", "--json").error["hint"]


def test_what_is_saved_is_said_to_be_where_old_snapshots_cannot_be_looked_through(sandbox: Sandbox) -> None:
    """Nor what was noted of them: neither is any reason to call the save failed."""
    local = sandbox.folder / ".taskkeep" / "local"
    (local / "cache" / "backups").unlink()
    (local / "backups").chmod(0o300)
    saved = sandbox("add", "three", "--json")
    assert (saved.status, saved.json["warnings"][0].endswith("Permission denied")) == (0, True)
    (local / "backups").chmod(0o700)
    (local / "backups.jsonl").mkdir()
    saved = sandbox("add", "four", "--json")
    assert (saved.status, saved.json["warnings"][0].endswith("backups.jsonl is a folder")) == (0, True)
    assert sandbox("verify", "--json").json["findings"] == []


def test_what_cannot_be_taken_out_of_git_stays_whole(sandbox: Sandbox) -> None:
    sandbox.forbid(sandbox.folder / ".git")
    answer = sandbox("uninstall", "--json")
    assert (answer.status, "nothing was changed" in answer.error["message"]) == (7, True)
    assert (sandbox.folder / ".gitattributes").exists()
    sandbox.allow()
    assert len(sandbox("uninstall", "--json").json["removed"]) == 2


def editor(sandbox: Sandbox, old: str, new: str) -> str:
    """The command of an editor that replaces *old* by *new*."""
    script = sandbox.home / "editor.py"
    script.write_text(
        f"import pathlib, sys\np = pathlib.Path(sys.argv[1])\np.write_text(p.read_text().replace({old!r}, {new!r}))\n"
    )
    return f"{sys.executable} {script}"


def test_a_page_that_was_written_is_not_lost_where_it_cannot_be_saved(sandbox: Sandbox) -> None:
    sandbox.forbid(sandbox.folder / ".taskkeep")
    answer = sandbox("edit", sandbox.task, "--json", EDITOR=editor(sandbox, "title: one", "title: hours of work"))
    assert answer.status == 7
    assert "hours of work" in Path(answer.error["details"]["kept"]).read_text()
    assert answer.error["details"]["kept"] in answer.error["hint"]
    Path(answer.error["details"]["kept"]).unlink()


@pytest.fixture
def with_interrupts() -> Iterator[None]:
    """What is started hears Ctrl-C even where the tests run in the background, which shells let ignore it."""
    old = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, old)


@pytest.mark.usefixtures("with_interrupts")
def test_ctrl_c_while_the_editor_is_open_names_the_page_that_it_leaves(sandbox: Sandbox) -> None:
    script = sandbox.home / "interrupted.sh"
    script.write_text('sed -i "s/^title: one/title: hours of work/" "$1"\nkill -INT $PPID\nsleep 1\n')
    answer = sandbox("edit", sandbox.task, "--json", EDITOR=f"sh {script}")
    assert (answer.status, answer.error["code"]) == (130, "interrupted")
    left = Path(answer.error["details"]["file"])
    assert "hours of work" in left.read_text()
    assert str(left) in answer.error["hint"]
    left.unlink()


def test_an_editor_may_put_a_byte_order_mark_before_the_page(sandbox: Sandbox) -> None:
    answer = sandbox("edit", sandbox.task, "--json", EDITOR=editor(sandbox, "---\n# T", "\ufeff---\n# T"))
    assert (answer.status, answer.json["changed"]) == (0, False)


def test_a_page_that_was_refused_takes_nothing_back_of_what_others_did_meanwhile(sandbox: Sandbox) -> None:
    """It is offered again as the task is now, with what it had changed."""
    script = sandbox.home / "meanwhile.sh"
    script.write_text(
        f'sed -i "s/^title: one/title: ours/" "$1"\n'
        f"{sys.executable} -m taskkeep update {sandbox.task} --assignee bob --title theirs -q\n"
    )
    assert sandbox("edit", sandbox.task, "--json", EDITOR=f"sh {script}").error["code"] == "stale_etag"
    sandbox("update", sandbox.task, "--priority", "high")

    saved = sandbox("edit", sandbox.task, EDITOR="true", TASKKEEP_FORMAT="json").json["tasks"][0]

    assert (saved["title"], saved["assignee"], saved["priority"]) == ("ours", "bob", "high")


def test_an_emptied_page_changes_nothing_and_drops_what_was_kept(sandbox: Sandbox) -> None:
    assert sandbox("edit", sandbox.task, EDITOR=editor(sandbox, "status: todo", "status: none")).status == 4
    emptied = sandbox("edit", sandbox.task, EDITOR="cp /dev/null", TASKKEEP_FORMAT="json")
    assert (emptied.status, emptied.error["message"]) == (4, "the page is empty; nothing was changed")
    assert sandbox("edit", sandbox.task, EDITOR="true", TASKKEEP_FORMAT="json").json["changed"] is False
    assert "no page" in sandbox("edit", sandbox.task, EDITOR="rm").err


def test_a_current_folder_that_is_gone_is_no_traceback(sandbox: Sandbox) -> None:
    gone = sandbox.folder / "gone"
    gone.mkdir()
    command = ["sh", "-c", 'rmdir "$PWD"; exec "$@"', "sh", sys.executable, "-m", "taskkeep", "list"]
    done = subprocess.run(command, cwd=gone, env=sandbox.env, capture_output=True, text=True, check=False)
    assert (done.returncode, "the current folder is gone" in done.stderr) == (2, True), done.stderr
