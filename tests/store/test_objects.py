"""Loose objects as git reads them, packed by one thread or by several."""

from __future__ import annotations

import random
import zlib

import pytest

from taskkeep.store.git.objects import THREADS_FROM, _deflate, _deflate_in_threads, _parts


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("sizes", [(0,), (1,), (5, 0, 3), (1, 100_000, 7), (300_000,), (65_536,) * 5])
def test_threads_make_one_zlib_stream(count: int, sizes: tuple[int, ...]) -> None:
    draw = random.Random(1)
    pieces = [bytes(draw.choices(b"abcdef\n ", k=size)) for size in sizes]
    stream = b"".join(_deflate_in_threads([b"blob 1\0", *pieces], count))
    reader = zlib.decompressobj()
    assert reader.decompress(stream) == b"blob 1\0" + b"".join(pieces)
    assert reader.eof
    assert not reader.unused_data


@pytest.mark.parametrize("sizes", [(10,), (1, 2, 3, 4), (1000, 1)])
def test_parts_are_the_whole(sizes: tuple[int, ...]) -> None:
    pieces = [bytes([number]) * size for number, size in enumerate(sizes)]
    parts = _parts(pieces, 4)
    assert len(parts) <= 4
    assert b"".join(view for part in parts for view in part) == b"".join(pieces)


def test_large_and_small_content_come_back() -> None:
    for size in (10, THREADS_FROM + 1):
        content = b"x" * size
        assert zlib.decompress(b"".join(_deflate(b"blob\0", [content]))) == b"blob\0" + content
