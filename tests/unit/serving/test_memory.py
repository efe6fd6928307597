import asyncio
import ctypes
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from serving import memory
from serving.memory import IdleTrim

pytestmark = pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "malloc_trim") or sys.platform != "linux", reason="glibc alone is trimmed"
)


class Process:
    """
    Its memory, its requests, and how often it was trimmed.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pages, self.admitted, self.at_work = 1000, 0, 0
        self.trims: asyncio.Queue[None] = asyncio.Queue()
        self.looks: asyncio.Queue[None] = asyncio.Queue()
        monkeypatch.setattr(memory, "_resident_pages", lambda: self.pages)

    def seen(self) -> tuple[int, int]:
        """
        What the trim is told.
        """
        self.looks.put_nowait(None)
        return self.admitted, self.at_work

    async def looked(self, times: int = 3) -> None:
        """
        Return once the trim has looked again, so many times.
        """
        while not self.looks.empty():
            self.looks.get_nowait()
        for _ in range(times):
            await self.looks.get()


@asynccontextmanager
async def trimming(process: Process) -> AsyncIterator[None]:
    """
    A trim that looks all the time.
    """
    trim = IdleTrim(process.seen, look_seconds=0)
    loop = asyncio.get_running_loop()
    trim._trim = lambda _: loop.call_soon_threadsafe(process.trims.put_nowait, None)
    task = asyncio.create_task(trim.run())
    await process.looked()
    yield
    task.cancel()


async def test_growth_is_given_back_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A process that has grown and is asked nothing is trimmed, and not again before it has grown again.
    """
    process = Process(monkeypatch)
    async with trimming(process):
        process.pages = 1200
        await process.trims.get()
        await process.looked()
        assert process.trims.empty()
        process.pages = 1300
        await process.trims.get()


async def test_busy_process_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    While there are requests, at work or come and gone since the last look, nothing is trimmed.
    """
    process = Process(monkeypatch)
    async with trimming(process):
        process.at_work, process.pages = 1, 1200
        await process.looked()
        assert process.trims.empty()
        process.at_work = 0
        await process.trims.get()


async def test_small_growth_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A process that has hardly grown keeps what it has freed.
    """
    process = Process(monkeypatch)
    async with trimming(process):
        process.pages = 1040
        await process.looked()
        assert process.trims.empty()
