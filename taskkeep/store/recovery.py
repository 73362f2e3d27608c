"""What an interrupted save left: the journal names it, and it alone is finished or taken back, aloud."""

from __future__ import annotations

import json
import os
import time
from hashlib import sha256
from typing import TYPE_CHECKING

from taskkeep.backlog.events import Chain, Request, event_hash, line
from taskkeep.backlog.replay import heads
from taskkeep.errors import Invalid, Refused, TaskkeepError
from taskkeep.store import log, pack, pending
from taskkeep.store.files import read, remove, sync_folder, write_new
from taskkeep.store.git.commit import refuse_obstacles
from taskkeep.store.layout import ARCHIVE, AUDIT, BACKLOG
from taskkeep.store.placement import enter_log, moves_archive, sha_of, snapshot_name
from taskkeep.store.surroundings import new_uuid, now_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskkeep.backlog.events import Event
    from taskkeep.store.layout import Root
    from taskkeep.store.save import Writer


def settle(writer: Writer) -> None:
    """Finish or take back the save that the journal names; nothing else is ever repaired."""
    root = writer.root
    try:
        data, _ = read(root.journal)
    except FileNotFoundError:
        return
    try:
        events: list[Event] = [json.loads(row) for row in data.splitlines()]
        if not events or any(event["hash"] != event_hash(event) for event in events):
            raise ValueError("not the events that were written")
    except (ValueError, KeyError, TypeError):
        aside = os.path.join(root.local, f"journal.damaged-{time.time_ns()}")
        os.replace(root.journal, aside)
        writer.warnings.append(f"the journal was damaged and is kept as {os.path.basename(aside)}")
        return
    first = events[0]
    name = log.file_name(first)
    path = os.path.join(root.audit, name)
    linked = os.path.exists(path)
    sha = sha_of(root.backlog)
    # What `resolve` settles is staged, and its commit is the user's.
    is_staged = first["source"] == "resolve"
    committed = linked and writer.is_committed(f"{AUDIT}/{name}", staged=is_staged)
    gone = not committed and _is_gone(root, events, sha)
    what = f"{first['event_type'].replace('_', ' ')} {first['task_id'] or ''} by {first['actor']}".replace("  ", " ")
    outcome = None
    if linked and committed:
        pass
    elif not gone and (sha == first["after"] or (linked and sha != first["before"])):
        if not linked:
            enter_log(root, root.journal, name)
        pending.note(writer, _paths_of(root, events, name))
        outcome = "finished"
        writer.warnings.append(f"finished a save that was cut short: {what}")
    else:
        if linked:
            os.unlink(path)
            sync_folder(os.path.dirname(path))
        outcome = "taken_back"
        writer.warnings.append(f"took back a save that was cut short: {what}; run it again if you still want it")
    if outcome and (not gone or _is_heads(writer, first)):
        _settle_archive(writer, first, outcome)
    _settle_snapshot(root, first, outcome == "taken_back")
    if outcome and sha == (first["after"] if outcome == "finished" else first["before"]):
        _note_recovery(writer, events, outcome, sha)
    if is_staged and outcome == "finished" and sha == first["after"]:
        _stage_settled(writer)
    writer.finished_resolve = is_staged and outcome != "taken_back"
    os.unlink(root.journal)
    sync_folder(root.local)


def go_on(writer: Writer) -> tuple[str | None, bool]:
    """Make the commit that waits and finish a packing that was cut short, where nothing is in the way.

    Returns the commit's hash, and whether one still waits; what is in the way is said in the warnings.
    """
    root, options, made = writer.root, writer.options, None
    try:
        writer.read()
    except (Refused, Invalid) as error:
        from taskkeep.store.standing import saved_files

        writer.warnings.append(f"{error.message}; it is left alone")
        writer.saved = saved_files(root, writer.log)
    waits, packing = bool(pending.paths(writer)), pack.is_under_way(root)
    if writer.repository is None or options.dry_run or options.commit is False or not (waits or packing):
        return None, waits
    try:
        refuse_obstacles(writer.repository)
        if waits:
            made = pending.commit(writer)
            waits = False
        if packing and pack.pack_old(writer):
            writer.warnings.append("finished a packing of the log that was cut short")
    except (OSError, TaskkeepError) as error:
        why = error.strerror or str(error) if isinstance(error, OSError) else error.message
        writer.warnings.append(f"the commit still waits: {why}")
    return made, waits


def _paths_of(root: Root, events: Sequence[Event], name: str) -> list[str]:
    paths = [BACKLOG, f"{AUDIT}/{name}"]
    if moves_archive(events[0]):
        paths.append(ARCHIVE)
    if events[0]["event_type"] == "backlog_initialised":
        paths += [p for p in events[0]["details"].get("files", ()) if os.path.exists(root.in_root(p))]
    return paths


def _note_recovery(writer: Writer, events: Sequence[Event], outcome: str, sha: str | None) -> None:
    """Log what was done with the interrupted save, so that who and why are not lost."""
    before = log.read_all(writer.root)
    found = heads(before)
    last = next((event for event in before if [event["hash"]] == found), None)
    if last is None or last["after"] != sha:
        # Branches that met, or a hand edit that was being adopted: no event may vouch for this file unseen.
        return
    now = now_text()
    first = events[0]
    request = Request(
        txn=new_uuid(),
        actor=writer.actor(),
        now=now,
        source="recovery",
        why=first["why"],
        key=None,
        digest=None,
    )
    archive = sha_of(writer.root.archive)
    chain = Chain(request, before=sha, after=sha or "", archive=(archive, archive), heads=found, new_id=new_uuid)
    saves = [{"event_type": e["event_type"], "task_id": e["task_id"], "actor": e["actor"]} for e in events[:20]]
    # What a `resolve` left open is so still.
    left = {"open": last["details"]["open"]} if "open" in last["details"] else {}
    chain.add("recovered", None, None, {"outcome": outcome, "txn": first["txn"], "events": saves, **left})
    name = log.file_name(chain.events[0])
    tmp = os.path.join(writer.root.tmp, "recovered")
    remove(tmp)
    write_new(tmp, [line(event) for event in chain.events])
    # Noted first: a crash in between leaves a note of nothing, which is dropped, and no event without a note.
    pending.note(writer, [f"{AUDIT}/{name}"])
    enter_log(writer.root, tmp, name)
    remove(tmp)


def _is_gone(root: Root, events: Sequence[Event], sha: str | None) -> bool:
    """Has git taken away since what the save was made upon: given up a merge, or put another saved state here?"""
    first, own = events[0], {event["hash"] for event in events}
    others = [event for event in log.read_all(root) if event["hash"] not in own]
    if first["source"] == "resolve" and not {event["hash"] for event in others}.issuperset(first["prev"]):
        return True
    return sha not in (first["before"], first["after"]) and any(event["after"] == sha for event in others)


def _is_heads(writer: Writer, event: Event) -> bool:
    """Was the archive before *event* that of HEAD? Git then knew of no change that giving the merge up takes back."""
    repository = writer.repository
    found = repository.reads([f"HEAD:{repository.prefix}{ARCHIVE}"])[0] if repository is not None else None
    sha = sha256(found[2]).hexdigest() if found is not None else None
    return moves_archive(event) and event["archive"]["before"] == sha


def _stage_settled(writer: Writer) -> None:
    """Stage what the interrupted `resolve` settled: the merge's commit takes it along, and its abort takes it away."""
    from taskkeep.store.merging.open_merge import open_merge
    from taskkeep.store.merging.resolver import stage_settled

    if writer.repository is not None and (state := open_merge(writer.root, writer.repository)) is not None:
        stage_settled(writer, state, settles_all=not state.open)


def _settle_archive(writer: Writer, first: Event, outcome: str) -> None:
    """Bring the archive to where the backlog is; both of its states lie ready since before the journal."""
    if not moves_archive(first):
        return
    wanted = first["archive"]["after" if outcome == "finished" else "before"]
    if sha_of(writer.root.archive) == wanted:
        return
    if wanted is None:
        remove(writer.root.archive)
    else:
        part = os.path.join(writer.root.tmp, "archive-new" if outcome == "finished" else "archive-old")
        if sha_of(part) != wanted:
            writer.warnings.append("the archive could not be brought to the same state: see 'taskkeep verify'")
            return
        os.replace(part, writer.root.archive)
    sync_folder(writer.root.path)


def _settle_snapshot(root: Root, first: Event, taken_back: bool) -> None:
    path = os.path.join(root.backups, snapshot_name(first["timestamp"]))
    try:
        found = os.lstat(path)
    except OSError:
        return
    # Cut short before the replacement it is the live file itself, under a second name.
    if taken_back or (os.path.exists(root.backlog) and os.path.samestat(found, os.stat(root.backlog))):
        remove(path)
    elif os.name != "nt":
        os.chmod(path, 0o600)
