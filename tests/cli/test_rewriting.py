"""adopt and apply on the command line: the difference is shown, refusals name what is to be named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.cli.conftest import Cli


def rewrite(cli: Cli, **fields: Any) -> bytes:
    value = json.loads(cli.bytes)
    value["tasks"][0].update(fields)
    return json.dumps(value).encode()


def test_adopt_shows_the_difference_in_a_pipe_line_by_line(cli: Cli) -> None:
    task_id = cli.add("one", "--label", "a")
    (cli.folder / "backlog.json").write_bytes(rewrite(cli, title="by hand", labels=["a", "b"]))

    result = cli("adopt", "--why", "on the web page")

    assert result.status == 0, result.err
    assert result.out.splitlines() == [f"~\t{task_id}\tby hand", "  title: one → by hand", "  labels: + b"]
    assert cli("verify").status == 0


def test_apply_reads_stdin_and_answers_as_a_writer_does(cli: Cli) -> None:
    cli.add("one")

    answer = cli("apply", "-", "--json", stdin=rewrite(cli, title="two")).json

    assert answer["changed"] is True
    assert [task["title"] for task in answer["tasks"]] == ["two"]
    assert answer["difference"]["changed"][0]["changes"]["title"] == {"from": "one", "to": "two"}
    assert answer["commit"]


def test_ids_to_be_named_may_repeat_and_stand_in_one_list(cli: Cli, tmp_path: Path) -> None:
    ids = [cli.add("one"), cli.add("two"), cli.add("three")]
    file = tmp_path / "new.json"
    file.write_text("[]")

    refused = cli("apply", str(file), "--json", "--allow-delete", ids[0])

    assert refused.status == 5
    assert {one["task_id"] for one in refused.error["details"]["lost"]} == set(ids[1:])
    named = ["--allow-delete", f"{ids[0]},{ids[1].lower()}", "--allow-delete", ids[2]]
    assert cli("apply", str(file), *named).out.splitlines() == [
        f"-\t{task_id}\t{title}" for task_id, title in sorted(zip(ids, ("one", "two", "three"), strict=True))
    ]
    assert cli("apply", str(file), "--allow-delete", "T99999").status == 3


def test_adopt_says_that_it_recorded_what_no_field_shows(cli: Cli) -> None:
    cli("add", "one")
    path = cli.folder / "backlog.json"
    path.write_text(json.dumps(json.loads(path.read_text())))

    assert cli("adopt").out == "recorded; no field of a task differs\n"
    assert "nothing to change" in cli("adopt").err


def test_a_hand_edit_in_the_way_points_to_adopt(cli: Cli) -> None:
    cli.add("one")
    (cli.folder / "backlog.json").write_bytes(rewrite(cli, title="by hand"))

    assert "taskkeep adopt" in cli("add", "two").err
    assert "taskkeep adopt" in cli("verify").out
