"""What can go wrong: the kind sets the exit status, the leaf sets the code and the hint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class TaskkeepError(Exception):
    """The root of every error that taskkeep raises on purpose.

    *message* is one line on what happened, *hint* one line on what to do now, *details*
    whatever a program may want to know, as JSON values.
    """

    exit_status = 70
    code = "internal"
    retryable = False
    otherwise = "Run it again with --debug and report what it shows."  # the advice where an error has no hint

    def __init__(self, message: str, *, hint: str = "", **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details: dict[str, Any] = details

    @property
    def advice(self) -> str:
        """What to do now, as every face says it: the hint, or what helps against errors of this kind."""
        return self.hint or self.otherwise

    def as_json(self) -> dict[str, Any]:
        """The ``error`` object of CONTRACT: code, message, hint, exit, retryable, details."""
        return {
            "code": self.code,
            "message": self.message,
            "hint": self.advice,
            "exit": self.exit_status,
            "retryable": self.retryable,
            "details": self.details,
        }


# -- the kinds ---------------------------------------------------------------------------


class Usage(TaskkeepError):
    """The command line, or the arguments of a call, make no sense."""

    exit_status = 2
    code = "usage"
    otherwise = "'taskkeep COMMAND --help' says what a command takes."


class NotFound(TaskkeepError):
    """What was named is not there."""

    exit_status = 3
    code = "not_found"
    otherwise = "Look whether the name is right."


class Invalid(TaskkeepError):
    """The input, or what lies on disk, is not what it must be."""

    exit_status = 4
    code = "invalid"
    otherwise = "Nothing was changed: put it right and run the command again."


class Refused(TaskkeepError):
    """A rule, a conflict or another's claim stands against it."""

    exit_status = 5
    code = "refused"
    otherwise = "Nothing was changed; 'taskkeep status' shows where this checkout stands."


class Busy(TaskkeepError):
    """Somebody else holds the lock, or changes the files; trying again later is right."""

    exit_status = 6
    code = "busy"
    retryable = True
    otherwise = "Run the command again later."


class Outside(TaskkeepError):
    """Git, the disk or permissions."""

    exit_status = 7
    code = "outside"
    otherwise = "'taskkeep doctor' looks at git, the lock and the disk."


class Interrupted(TaskkeepError):
    """Ctrl-C or a termination signal; the old state stands."""

    exit_status = 130
    code = "interrupted"

    def __init__(self) -> None:
        super().__init__("interrupted; nothing was changed", hint="Run the command again.")


# -- usage -------------------------------------------------------------------------------


class BadPoint(Usage):
    """A WHEN that cannot name a point in time: empty, a path, in the future, no commit."""

    code = "bad_point"


class AmbiguousPoint(Usage):
    """A WHEN that several points in time bear."""

    code = "ambiguous_point"


# -- not found ---------------------------------------------------------------------------


class BacklogNotFound(NotFound):
    """No backlog here or above, up to the top of the repository."""

    code = "no_backlog"

    def __init__(self, folder: str, foreign: str | None = None) -> None:
        """*foreign*: a backlog.json of another program that was met on the way up."""
        hint = "Run 'taskkeep init' to make one here."
        if foreign is not None:
            hint = (
                f"{foreign} is not taskkeep's: run 'taskkeep init' in another folder; "
                "'taskkeep import' takes that file in there."
            )
        super().__init__(f"no backlog in {folder} or above it", hint=hint)


class TaskNotFound(NotFound):
    """No task has this id, nor this alias."""

    code = "task_not_found"

    def __init__(self, task_id: str, nearest: Sequence[str] = ()) -> None:
        hint = f"Did you mean {' or '.join(nearest)}?" if nearest else "See 'taskkeep list --all'."
        super().__init__(f"no task {task_id}", hint=hint, task_id=task_id)


class TaskArchived(NotFound):
    """The task lies in the archive, where no change reaches it."""

    code = "task_archived"

    def __init__(self, task_id: str) -> None:
        super().__init__(
            f"{task_id} is in the archive",
            hint=f"'taskkeep log {task_id}' says since when; 'taskkeep restore {task_id} --at WHEN' brings it back.",
            task_id=task_id,
        )


class UnknownPoint(NotFound):
    """No time, event, backup or git revision is called like that."""

    code = "unknown_point"


class BeforeFirst(NotFound):
    """A point in time before the backlog's first change."""

    code = "before_first_change"


class TaskNotThen(NotFound):
    """The task did not exist at the point in time that was named."""

    code = "task_not_then"


class CriterionNotFound(NotFound):
    """A task has fewer acceptance criteria than the number named."""

    code = "criterion_not_found"

    def __init__(self, task_id: str, number: int, count: int) -> None:
        super().__init__(
            f"{task_id} has no acceptance criterion {number}",
            hint=f"It has {count}; they are counted from 1.",
            task_id=task_id,
        )


class NothingReady(NotFound):
    """No task can be claimed now."""

    code = "nothing_ready"

    def __init__(self, *, open: int, claimed: int, waiting: int, filtered: int, next_end: str | None) -> None:
        if filtered:
            hint = f"{filtered} ready in all: ask with fewer filters, or see 'taskkeep ready'."
        elif not open:
            hint = "No task is open; 'taskkeep add' makes one."
        else:
            rest = open - claimed - waiting
            parts = [
                f"{claimed} claimed, the first until {next_end}" if claimed else "",
                f"{waiting} waiting for others" if waiting else "",
                f"{rest} begun, blocked or in review without a claim" if rest else "",
            ]
            hint = f"{open} open: {'; '.join(filter(None, parts))}. See 'taskkeep list'."
        super().__init__(
            "nothing is ready to be claimed",
            hint=hint,
            open=open,
            claimed=claimed,
            waiting=waiting,
            ready=filtered,
            next_end=next_end,
        )


# -- invalid -----------------------------------------------------------------------------


class InvalidField(Invalid):
    """A value that the schema does not allow."""

    code = "invalid_field"
    otherwise = "'taskkeep schema' says what each field may hold."

    def __init__(self, field: str, problem: str, *, hint: str = "", task_id: str | None = None) -> None:
        subject = f"{task_id}: {field}" if task_id else field
        super().__init__(f"{subject} {problem}", hint=hint, field=field, task_id=task_id)


class UnknownField(Invalid):
    """A field that this version of taskkeep does not know."""

    code = "unknown_field"

    def __init__(self, field: str, version: str, *, task_id: str | None = None, taken_out: bool = False) -> None:
        where = f"{task_id} has a field" if task_id else "a field"
        message = f"{where} '{field}' that taskkeep {version} does not know"
        hint = "A newer taskkeep is needed to write here; keys of your own belong into metadata."
        if taken_out:  # of a file that has it nobody gets that far
            message, hint = f"there is no field '{field}' to take out", f"A key of metadata is metadata.{field} here."
        super().__init__(message, hint=hint, field=field, task_id=task_id)


class BacklogUnreadable(Invalid):
    """backlog.json holds what no reader can take; *code* says what it is."""

    codes = ("conflict_marker", "duplicate_id", "duplicate_key", "schema", "unreadable")

    def __init__(self, code: str, message: str, *, hint: str = "", line: int | None = None, **details: Any) -> None:
        super().__init__(
            message,
            hint=hint or "'taskkeep restore --at WHEN' brings a saved state back; 'taskkeep backups list' names some.",
            line=line,
            **details,
        )
        self.code = code
        self.line = line


class LogDamaged(Invalid):
    """An audit file that cannot be read as events."""

    code = "audit_broken"
    otherwise = "'taskkeep doctor --fix' brings it back from git or the joined log."


class BackupDamaged(Invalid):
    """A snapshot that no longer holds what was put into it."""

    code = "damaged_backup"
    otherwise = "'taskkeep backups list' names others."


class ConfigInvalid(Invalid):
    """.taskkeep/config.toml cannot be used."""

    code = "config"
    otherwise = "Mend it by hand; each key has a default, so that one may also be left out."


class InputInvalid(Invalid):
    """A file or a stream handed to a command cannot be used."""

    code = "invalid_input"


class Mojibake(Invalid):
    """Text that was read in one encoding and written in another."""

    code = "mojibake"

    def __init__(self, found: Sequence[tuple[str, str, str, str]]) -> None:
        """*found*: task, field, what stands there, what was meant."""
        task_id, field, text, meant = found[0]
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        super().__init__(
            f"{task_id}: {field} holds mojibake: {text[:40]!r} for {meant[:40]!r}{more}",
            hint="It was read in one encoding and written in another: write it as UTF-8.",
            found=[{"task_id": one[0], "field": one[1], "text": one[2], "meant": one[3]} for one in found[:100]],
        )


# -- refused -----------------------------------------------------------------------------


class TaskBlocked(Refused):
    """A task is done after the tasks it depends on, not before."""

    code = "task_blocked"

    def __init__(self, task_id: str, blockers: Sequence[str]) -> None:
        super().__init__(
            f"{task_id} waits for {', '.join(blockers)}",
            hint=f"Finish {blockers[0]} first, or pass --force.",
            task_id=task_id,
            blockers=list(blockers),
        )
        self.task_id = task_id
        self.blockers = blockers


class TaskNeeded(Refused):
    """A task that others name is not deleted under them."""

    code = "task_needed"

    def __init__(self, task_id: str, dependents: Sequence[str], *, hint: str = "") -> None:
        super().__init__(
            f"{', '.join(dependents)} still {'names' if len(dependents) == 1 else 'name'} {task_id}",
            hint=hint or "Pass --unlink to take the links out as well.",
            task_id=task_id,
            dependents=list(dependents),
        )


class GraphBroken(Refused):
    """A link that leads nowhere, or a circle of links, which this change would make."""

    code = "broken_graph"


class DanglingLink(GraphBroken):
    """depends_on or parent names a task that is not there."""

    code = "dangling_link"

    def __init__(self, task_id: str, field: str, target: str, *, new: bool = False) -> None:
        """*new*: a task that there will not be, so that nobody looks for its id."""
        where = "" if new else f"{task_id}: "
        super().__init__(
            f"{where}{field} names {target}, which is not there",
            hint="Name a task of this backlog.",
            task_id=task_id,
            field=field,
            target=target,
        )


class LinksMissing(GraphBroken):
    """Old versions of tasks name others that are not there any more."""

    code = "links_missing"

    def __init__(self, missing: Sequence[tuple[str, str, str]]) -> None:
        said = ", ".join(f"{task_id} {field} {target}" for task_id, field, target in missing[:5])
        super().__init__(
            f"not there any more: {said}" + (" …" if len(missing) > 5 else ""),
            hint="Restore those tasks too, or pass --unlink to leave these links out.",
            missing=[{"task_id": task_id, "field": field, "target": target} for task_id, field, target in missing],
        )


class LinkCycle(GraphBroken):
    """Tasks that wait for each other in a circle."""

    code = "cycle"

    def __init__(self, field: str, path: Sequence[str]) -> None:
        super().__init__(
            f"{field} would go in a circle: {' -> '.join(path)}",
            hint="Take one of these links out.",
            field=field,
            path=list(path),
        )


class AmbiguousId(Refused):
    """An alias that several tasks bear."""

    code = "ambiguous_id"

    def __init__(self, alias: str, ids: Sequence[str]) -> None:
        super().__init__(f"{alias} is an alias of {', '.join(ids)}", hint="Use one of these ids.", ids=list(ids))


class StaleEtag(Refused):
    """The task has changed since it was read."""

    code = "stale_etag"

    def __init__(self, task_id: str, task: Mapping[str, Any], etag: str, given: str | None = None) -> None:
        super().__init__(
            f"{task_id} has changed since you read it",
            hint=f"See 'taskkeep show {task_id} --json', or details.task here; decide again, and pass its etag.",
            task_id=task_id,
            task={**task, "etag": etag},
            given=given,
            differs=None,
        )


class ClaimHeld(Refused):
    """Another actor holds the task until its lease ends."""

    code = "claimed"

    def __init__(self, task_id: str, holder: str, until: str) -> None:
        super().__init__(
            f"{task_id} is claimed by {holder} until {until}",
            hint="Take another with 'taskkeep claim', or wait; notes are free, and --force goes over the claim.",
            task_id=task_id,
            claimed_by=holder,
            claimed_until=until,
        )


class StaleClaim(Refused):
    """The number of a claim that is not the task's last: somebody else was given it since, under whatever name."""

    code = "stale_claim"

    def __init__(self, task_id: str, given: int, last: int, holder: str | None, until: str | None) -> None:
        now = f"; {holder} has claim {last} until {until}" if holder else f"; its last claim was {last}" if last else ""
        what = f"is no longer claim {given}" if given < last else f"was never given claim {given}"
        super().__init__(
            f"{task_id} {what}{now}",
            hint="Leave this task alone; take another with 'taskkeep claim'.",
            task_id=task_id,
            claim=given,
            last=last,
            claimed_by=holder,
            claimed_until=until,
        )


class TaskFinished(Refused):
    """A task that is done or cancelled is not claimed."""

    code = "task_finished"

    def __init__(self, task_id: str, status: str) -> None:
        super().__init__(
            f"{task_id} is {status}",
            hint="Take another, or put it back to do with 'taskkeep reopen'.",
            task_id=task_id,
            status=status,
        )


class HandEdit(Refused):
    """backlog.json is not what the last save wrote: somebody edited it by hand."""

    code = "hand_edit"


class SecretFound(Refused):
    """A save would write a key or token, which stays in the history for good."""

    code = "secret"

    def __init__(self, where: str, kind: str, shown: str, **details: Any) -> None:
        super().__init__(
            f"{where} holds {kind} ({shown})",
            hint="Take it out; if it is meant to be there, pass --allow-secret with --why.",
            kind=kind,
            shown=shown,
            **details,
        )


class TasksLost(Refused):
    """A backlog that was rewritten as a whole lacks tasks that nobody named for deletion."""

    code = "lost_task"

    def __init__(self, lost: Sequence[Mapping[str, Any]], reverted: Sequence[Mapping[str, Any]], **more: Any) -> None:
        names = ", ".join(task["task_id"] for task in lost[:5]) + (" …" if len(lost) > 5 else "")
        super().__init__(
            f"{len(lost)} task{'' if len(lost) == 1 else 's'} would be lost: {names}",
            hint="Put them back, or name each that is to go with --allow-delete.",
            lost=list(lost),
            reverted=list(reverted),
            **more,
        )


def _way_back(one: Mapping[str, Any]) -> str:
    if one["field"] is None:
        return "(deleted by now)"

    def short(value: Any) -> str:
        text = "-" if value is None else ascii(value)
        return text if len(text) <= 30 else text[:27] + "..."

    return f"{one['field']} ({short(one['from'])} -> {short(one['to'])})"


class FieldsReverted(Refused):
    """A backlog that was rewritten as a whole sets fields back to what they held before."""

    code = "reverted_field"

    def __init__(self, reverted: Sequence[Mapping[str, Any]], **more: Any) -> None:
        names = [f"{one['task_id']} {_way_back(one)}" for one in reverted]
        shown = ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
        super().__init__(
            f"{len(names)} field{'' if len(names) == 1 else 's'} would be cut, or set back to older values: {shown}",
            hint="--json lists them all; name each task that is meant with --allow-revert.",
            lost=[],
            reverted=list(reverted),
            **more,
        )


class Conflicting(Refused):
    """A file that was written upon an older state and the changes made since want different things."""

    code = "conflict"

    def __init__(self, conflicts: Sequence[Mapping[str, Any]]) -> None:
        shown = "; ".join(map(_both_values, conflicts[:3])) + (" …" if len(conflicts) > 3 else "")
        super().__init__(
            f"the file and the changes since its base differ in {shown}",
            hint="Write into the file what shall stand, and apply it upon a later base; --json has all values.",
            conflicts=list(conflicts),
        )


def _both_values(conflict: Mapping[str, Any]) -> str:
    if conflict["field"] is None:
        return f"{conflict['task_id']} (deleted {'here' if conflict['ours'] is None else 'in the file'})"
    ours, theirs = (
        "nothing" if value is None else ascii(value) if len(ascii(value)) <= 40 else f"{ascii(value)[:37]}..."
        for value in (conflict["ours"], conflict["theirs"])
    )
    return f"{conflict['task_id']} {conflict['field']} (here {ours}, in the file {theirs})"


class NothingToUndo(Refused):
    """No change of the actor's is there to be taken back, or the event is none that can be."""

    code = "nothing_to_undo"


class ChangedSince(Refused):
    """What a change had set was changed again after it."""

    code = "changed_since"


class IdTaken(Refused):
    """Another task bears the id now."""

    code = "id_taken"


class AlreadyInitialised(Refused):
    """There is a backlog here already."""

    code = "already_initialised"


class ForeignFile(Refused):
    """A file stands in the way that is not ours."""

    code = "foreign_file"


class RepositoryBusy(Refused):
    """A merge, rebase, cherry-pick or revert is under way, or our paths are unmerged."""

    code = "merge_in_progress"


class KeyReused(Refused):
    """An idempotency key that stands for another request."""

    code = "key_reused"

    def __init__(self, key: str) -> None:
        super().__init__(
            f"the key {key!r} was used for another request",
            hint="Use a new key for a new request.",
            key=key,
        )


class OneTaskOnly(Refused):
    """An option that makes sense for one task was given with several."""

    code = "one_task_only"


# -- busy, outside -----------------------------------------------------------------------


class BacklogLocked(Busy):
    """Another writer held the lock for the whole waiting time."""

    code = "locked"


class ChangedMeanwhile(Busy):
    """Another program put other files or another commit in the place of those that the change was made on."""

    code = "changed_meanwhile"

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} was changed by another program meanwhile; nothing was saved", hint="Run the command again."
        )


class GitUnavailable(Outside):
    """Git is missing, too old, or refuses to work here."""

    code = "git"


class ShallowClone(Outside):
    """This clone lacks the history that a comparison needs."""

    code = "shallow"


class NoIdentity(Outside):
    """Git does not know who commits."""

    code = "no_identity"


class GitLocked(Outside):
    """Another git holds a lock of the repository."""

    code = "git_locked"
    retryable = True


class CommitFailed(Outside):
    """Git would not take the commit; the change was taken back."""

    code = "commit_failed"


class DiskFault(Outside):
    """The disk or its permissions refused a step; *uncertain* where the way back failed too."""

    code = "disk"


class NoWorkingLock(Outside):
    """The file system offers no lock that can be relied on."""

    code = "no_lock"


class ExtraMissing(Outside):
    """An optional part that was not installed."""

    code = "extra_missing"

    def __init__(self, extra: str) -> None:
        super().__init__(
            f"this needs the extra '{extra}', which is not installed",
            hint=f"pip install 'taskkeep[{extra}]'",
            extra=extra,
        )
