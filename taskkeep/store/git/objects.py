"""Git objects written in process, as durable as git's own with core.fsync=all."""

from __future__ import annotations

import errno
import os
import zlib
from hashlib import sha1, sha256
from typing import TYPE_CHECKING

from taskkeep.store.files import BINARY, CLOSE_ON_EXEC, remove, sync_file, sync_folder, write_all

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from taskkeep.store.git.repository import Repository

Tree = dict[str, tuple[str, str]]  # name -> (mode, hash)
FOLDER = "40000"
FILE = "100644"
THREADS_FROM = 1 << 20  # bytes from which on threads pack faster than they start


class ObjectStore:
    """Writes loose objects; call sync() before anything names them."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self.folder = os.path.join(repository.common, "objects")
        self._new = sha256 if repository.format == "sha256" else sha1
        self._folders: set[str] = set()
        self._by_git = repository.shared

    def write(self, kind: str, pieces: Sequence[bytes]) -> str:
        """Write one object and return its hash. Raises OSError."""
        if self._by_git:
            return self._write_by_git(kind, pieces)
        head = f"{kind} {sum(map(len, pieces))}\0".encode()
        digest = self._new(head)
        for piece in pieces:
            digest.update(piece)
        name = digest.hexdigest()
        folder = os.path.join(self.folder, name[:2])
        path = os.path.join(folder, name[2:])
        try:
            os.mkdir(folder)
            self._folders.add(self.folder)
        except FileExistsError:
            if os.path.exists(path):
                sync_file(path)  # a save that was killed may have left it unsynced
                self._folders.add(folder)
                return name
        tmp = os.path.join(folder, f"tmp_obj_taskkeep{os.getpid():x}")
        fd = os.open(tmp, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | CLOSE_ON_EXEC | BINARY, 0o444)
        try:
            try:
                for data in _deflate(head, pieces):
                    write_all(fd, data)
                os.fsync(fd)
            finally:
                os.close(fd)
            os.rename(tmp, path)
        except BaseException:
            remove(tmp)  # where that is refused too git's own gc sweeps it away
            raise
        self._folders.add(folder)
        return name

    def _write_by_git(self, kind: str, pieces: Sequence[bytes]) -> str:
        """The same by git, which alone knows the modes and owners of a repository that several people share."""
        answer = self._repository.run(
            "hash-object", "-w", "--no-filters", "-t", kind, "--stdin", given=b"".join(pieces)
        )
        if answer.status:
            raise OSError(errno.EACCES if answer.refused else errno.EIO, answer.trouble)
        self._folders |= {self.folder, os.path.join(self.folder, answer.text[:2])}
        return answer.text

    def write_tree(self, tree: Tree) -> str:
        """Write a tree and return its hash. Raises OSError."""
        return self.write("tree", [pack_tree(tree)])

    def sync(self) -> None:
        """Make the names of all that was written durable. Raises OSError."""
        for folder in sorted(self._folders, reverse=True):
            sync_folder(folder)
        self._folders.clear()


def _deflate(head: bytes, pieces: Sequence[bytes]) -> Iterator[bytes]:
    if sum(map(len, pieces)) >= THREADS_FROM and (count := _processors()) > 1:
        yield from _deflate_in_threads([head, *pieces], count)
        return
    packer = zlib.compressobj(1)
    yield packer.compress(head)
    for piece in pieces:
        yield packer.compress(piece)
    yield packer.flush()


def _deflate_in_threads(pieces: Sequence[bytes], count: int) -> Iterator[bytes]:
    """One zlib stream made of *count* parts packed at the same time; each but the last ends in a sync flush."""
    import threading

    parts = _parts(pieces, count)
    packed: list[list[bytes]] = [[] for _ in parts]
    faults: list[Exception] = []

    def pack(number: int) -> None:
        try:
            packer = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
            packed[number] = [packer.compress(piece) for piece in parts[number]]
            packed[number].append(packer.flush(zlib.Z_FINISH if number == len(parts) - 1 else zlib.Z_SYNC_FLUSH))
        except Exception as fault:  # it must be raised where somebody waits for it
            faults.append(fault)

    threads = [threading.Thread(target=pack, args=(number,)) for number in range(1, len(parts))]
    for thread in threads:
        thread.start()
    pack(0)
    check = 1
    for piece in pieces:
        check = zlib.adler32(piece, check)
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]
    yield b"\x78\x01"
    for part in packed:
        yield b"".join(part)
    yield check.to_bytes(4, "big")


def _parts(pieces: Sequence[bytes], count: int) -> list[list[memoryview]]:
    """*pieces* parted into at most *count* runs of about the same number of bytes, without a copy."""
    size = sum(map(len, pieces)) // count + 1
    parts: list[list[memoryview]] = [[]]
    room = size
    for piece in pieces:
        view = memoryview(piece)
        while view:
            if not room:
                parts.append([])
                room = size
            parts[-1].append(view[:room])
            taken = min(room, len(view))
            view = view[taken:]
            room -= taken
    return parts


def _processors() -> int:
    """How many may work for us at once, four at the most: more bring little."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(allowed, 4)


def read_tree(data: bytes, hash_size: int) -> Tree:
    """Return the entries of a tree object's content; *hash_size* in bytes."""
    tree: Tree = {}
    at = 0
    while at < len(data):
        blank = data.index(b" ", at)
        nul = data.index(b"\0", blank)
        name = data[blank + 1 : nul].decode("utf-8", "surrogateescape")
        end = nul + 1 + hash_size
        tree[name] = (data[at:blank].decode(), data[nul + 1 : end].hex())
        at = end
    return tree


def pack_tree(tree: Tree) -> bytes:
    """Return the content of a tree object; git sorts a folder as if its name ended in a slash."""

    def order(item: tuple[str, tuple[str, str]]) -> bytes:
        name = item[0].encode("utf-8", "surrogateescape")
        return name + b"/" if item[1][0] == FOLDER else name

    return b"".join(
        mode.encode() + b" " + name.encode("utf-8", "surrogateescape") + b"\0" + bytes.fromhex(value)
        for name, (mode, value) in sorted(tree.items(), key=order)
    )
