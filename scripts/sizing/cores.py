"""
Cores that threads share, simulated by discrete events.

simpy has queues in front of servers, but no threads that share cores by weight, which is what happens on a machine with
more of them than cores; so the few lines of an event loop are here as well.
"""

import heapq
import itertools
import math
from collections import deque
from collections.abc import Callable, Generator

Then = Callable[[], None]
Wait = Callable[[Then], object]
"""
Calls back once what it waits for has happened.
"""

Process = Generator[Wait, None, None]
"""
Something that happens in steps, and waits between them.
"""


def drive(process: Process) -> None:
    """
    Go on with a process, until its next wait and then from there.
    """
    wait = next(process, None)
    if wait is not None:
        wait(lambda: drive(process))


class Thread:
    """
    Does one job after the other, on one core at most.

    Args:
        weight: its part of the cores beside others that want them too, as the kernel's scheduler has it.
        behind: the thread of its process that it stands still for, since Python's threads have one lock.

    Attributes:
        busy_seconds: core-seconds that it has used.
    """

    def __init__(self, cores: "Cores", weight: float = 1.0, *, behind: "Thread | None" = None) -> None:
        self.weight = weight
        self.behind = behind
        self.busy_seconds = 0.0
        self.left = 0.0
        self.rate = 0.0
        self._cores = cores
        self._jobs: deque[tuple[float, Then]] = deque()

    def do(self, seconds: float, then: Then) -> None:
        """
        Do a job of so many core-seconds after those before it.
        """
        self._jobs.append((seconds, then))
        if len(self._jobs) == 1:
            self.left = seconds
            self._cores.begin(self)

    def finish(self) -> Then:
        """
        End the job at hand and turn to the next.
        """
        _, then = self._jobs.popleft()
        if self._jobs:
            self.left = self._jobs[0][0]
        else:
            self._cores.end(self)
        return then


class Cores:
    """
    Cores, the threads that use them, and the time.

    Threads share cores by weight, none getting more than one (generalised processor sharing: Parekh and Gallager 1993).
    """

    def __init__(self, count: float) -> None:
        self.now = 0.0
        self._count = count
        self._busy: list[Thread] = []
        self._timers: list[tuple[float, int, Then]] = []
        self._order = itertools.count()

    def at(self, moment: float, then: Then) -> None:
        """
        Call back at a moment.
        """
        heapq.heappush(self._timers, (moment, next(self._order), then))

    def after(self, seconds: float, then: Then) -> None:
        """
        Call back so much later.
        """
        self.at(self.now + seconds, then)

    def run(self, until: float = math.inf) -> None:
        """
        Let time pass until a moment, or until nothing is left to happen.
        """
        while self._busy or self._timers:
            first = min(self._busy, key=_seconds_left, default=None)
            ends = self.now + _seconds_left(first) if first else math.inf
            due = self._timers[0][0] if self._timers else math.inf
            if min(ends, due) > until:
                break
            self._pass(min(ends, due))
            if first and ends <= due:
                first.finish()()
            else:
                heapq.heappop(self._timers)[2]()

    def begin(self, thread: Thread) -> None:
        """
        Let a thread have its part.
        """
        self._busy.append(thread)
        self._share()

    def end(self, thread: Thread) -> None:
        """
        Leave a thread's part to the others.
        """
        self._busy.remove(thread)
        self._share()

    def _pass(self, moment: float) -> None:
        for thread in self._busy:
            done = thread.rate * (moment - self.now)
            thread.left -= done
            thread.busy_seconds += done
        self.now = moment

    def _share(self) -> None:
        running = [thread for thread in self._busy if thread.behind not in self._busy]
        left, weight = self._count, sum(thread.weight for thread in running)
        for thread in self._busy:
            thread.rate = 0.0
        for thread in sorted(running, key=_weight, reverse=True):  # who gets a whole core leaves more to the rest
            thread.rate = min(1.0, left * thread.weight / weight)
            left -= thread.rate
            weight -= thread.weight


def _seconds_left(thread: Thread) -> float:
    return thread.left / thread.rate if thread.rate else math.inf


def _weight(thread: Thread) -> float:
    return thread.weight
