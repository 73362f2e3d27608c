"""The entry point: runs one command, and turns every error into words and an exit status."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # as in typing, whose import --version does without
if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskkeep.errors import TaskkeepError

COMPLETION = "_TASKKEEP_COMPLETE"


def main() -> None:
    """Run the command of ``sys.argv`` and end the process.

    A command lives for milliseconds: collecting garbage, and taking the interpreter down piece
    by piece, would take a tenth of them.
    """
    import gc

    gc.disable()
    _heed_termination()
    _open_missing_streams()
    status = run(sys.argv[1:])
    status = _flush(status)
    os._exit(status)


def run(args: Sequence[str]) -> int:
    """Run one command and return its exit status; every error is told on stderr."""
    if list(args) in (["--version"], ["-V"]):
        return _version()
    if COMPLETION in os.environ:
        return _complete(args)
    from taskkeep.errors import Interrupted

    try:
        return _dispatch(args)
    except KeyboardInterrupt as error:
        return _tell(Interrupted(), args, error)
    except Exception as error:
        return _tell(_as_ours(error), args, error)


def _dispatch(args: Sequence[str]) -> int:
    from taskkeep.cli.plain import read
    from taskkeep.cli.texts import check_arguments

    check_arguments(args)
    if args and args[0] == "help":
        args = [*args[1:2], "--help"]
    if (plain := read(args)) is not None:
        answer = plain.run()
        return answer if isinstance(answer, int) else 0
    import typer

    from taskkeep.cli.app import group

    try:
        with group().make_context("taskkeep", list(args)) as context:
            answer = group().invoke(context)
    except typer.Exit as end:
        return end.exit_code
    return answer if isinstance(answer, int) else 0


def _version() -> int:
    from taskkeep import __version__
    from taskkeep.cli.output import write_out

    write_out(f"taskkeep {__version__}\n")
    return 0


def _complete(words: Sequence[str]) -> int:
    from taskkeep.cli.completing import answer
    from taskkeep.cli.output import write_out

    write_out(answer(words))
    return 0


# -- errors ------------------------------------------------------------------------------


def _as_ours(error: Exception) -> TaskkeepError:
    """The same fault as an error of ours: what the parser found, what the system refused, a bug."""
    from taskkeep.errors import DiskFault, TaskkeepError

    if isinstance(error, TaskkeepError):
        return error
    if isinstance(error, OSError) and error.errno is not None:
        where = f": {os.fsdecode(error.filename)}" if isinstance(error.filename, (str, bytes)) else ""
        return DiskFault(
            f"{error.strerror or error}{where}",
            hint="Look at its permissions."
            if where and isinstance(error, PermissionError)
            else "Run it again with --debug to see where.",
            errno=error.errno,
        )
    if "typer" in sys.modules:
        from taskkeep.cli.usage import usage_error

        if (usage := usage_error(error)) is not None:
            return usage
    return TaskkeepError(
        f"a bug in taskkeep: {type(error).__name__}: {error}",
        hint="Run it again with --debug and report what it shows.",
    )


def _tell(error: TaskkeepError, args: Sequence[str], cause: BaseException) -> int:
    """Show *error* on stderr and return its exit status.

    The flags that say how are looked for in *args* themselves, since parsing may be what failed.
    """
    from taskkeep.backlog.secrets import redacted
    from taskkeep.cli.output import write_err
    from taskkeep.cli.texts import given

    error.message, error.hint = redacted(error.message), redacted(error.hint)
    trace = ""
    if given(args, "--debug"):
        import traceback

        trace = redacted("".join(traceback.format_exception(cause)))
    if _wants_json(args):
        import json

        value = error.as_json()
        if trace:
            value["details"] = {**value["details"], "traceback": trace}
        answer = {"schema_version": 1, "error": value}
        write_err(json.dumps(answer, ensure_ascii=False, default=str) + "\n")
    else:
        from taskkeep.cli.output import error_lines

        write_err(trace + error_lines(error, color=not given(args, "--no-color")))
    return error.exit_status


def _wants_json(args: Sequence[str]) -> bool:
    from taskkeep.cli.texts import given

    if given(args, "--json") or given(args, "--format", "json"):
        return True
    return os.environ.get("TASKKEEP_FORMAT") == "json" and not given(args, "--format")


# -- signals -----------------------------------------------------------------------------


def _heed_termination() -> None:
    """Have what asks the process to end do as Ctrl-C does, but where it is ignored, as under nohup."""
    import _signal  # type: ignore[import-not-found]  # is there from the start; signal would be an import

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(_signal, name, None)
        if number is not None and _signal.getsignal(number) == _signal.SIG_DFL:
            _signal.signal(number, _signal.default_int_handler)


# -- streams -----------------------------------------------------------------------------


def _open_missing_streams() -> None:
    """Put the null device where the caller closed a standard stream.

    The next file that is opened would get its number, and what is meant for the terminal would
    be written into that file.
    """
    if None not in (sys.stdin, sys.stdout, sys.stderr):
        return
    while True:
        descriptor = os.open(os.devnull, os.O_RDWR)
        if descriptor > 2:
            os.close(descriptor)
            break
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            stream = open(number, "w" if number else "r", encoding="utf-8", closefd=False)
            setattr(sys, name, stream)


def _flush(status: int) -> int:
    """Flush what is left; a reader that went away is no failure."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            continue
        except OSError:
            status = status or 7
    return status
