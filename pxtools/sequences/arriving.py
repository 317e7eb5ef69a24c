"""Take things as they come, and know when none is coming just now."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from queue import Empty, Queue
from typing import TypeVar

from pxtools.interrupt import in_background, uninterrupted

T = TypeVar("T")
LOOK_EVERY_SECONDS = 0.1
_END = object()


def as_they_come(items: Iterable[T]) -> Iterator[T | None]:
    """The items, with a None whenever the next one keeps us waiting. Raises what `items` raises."""
    queue: Queue[object] = Queue(maxsize=1000)

    def fetch() -> None:
        try:
            for item in items:
                queue.put(item)
            queue.put(_END)
        except BaseException as error:
            queue.put(error)

    in_background(fetch)
    while True:
        item: object = None
        # where a signal strikes, the queue's lock may break
        with uninterrupted(), suppress(Empty):
            item = queue.get(timeout=LOOK_EVERY_SECONDS)
        if item is _END:
            return
        if isinstance(item, BaseException):
            raise item
        yield item  # type: ignore[misc]
