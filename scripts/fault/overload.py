"""
The row in which too many come: who is let in is answered soon, who is not is told so at once.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from fault.checks import ms, right, status
from fault.load import crowding
from fault.outcome import BACK_WITHIN_SECONDS, Outcome, quantile, statuses
from fault.row import Result, Row
from fault.scene import Scene
from fault.verdict import Check
from fault.watch import Watch

_CLIENTS = 10
_LEVEL_SHARE = 0.8
_TIMES_SUSTAINABLE = 5
_TIMES_LEVEL = 2
_TIMES_OLD_LEVEL = 1.5
_REFUSED_WITHIN_SECONDS = 0.05
_EVER_REFUSED = 0.01

_IN_TIME = (HTTPStatus.OK, HTTPStatus.TOO_MANY_REQUESTS)
# A machine that stalls may let somebody in and then be too slow.
_EVER = (*_IN_TIME, HTTPStatus.GATEWAY_TIMEOUT)


@dataclass(frozen=True)
class Crowd:
    """
    What became of the requests at 80 % of what the service sustains, at 5 times as much, and at 80 % again.
    """

    sustainable: float
    level: Sequence[Outcome]
    overload: Sequence[Outcome]
    recovery: Sequence[Outcome]

    @property
    def outcomes(self) -> list[Outcome]:
        """
        All of them.
        """
        return [*self.level, *self.overload, *self.recovery]

    @property
    def recovered(self) -> list[Outcome]:
        """
        Those that came once the service had its time to recover.
        """
        ended = max(outcome.due for outcome in self.overload)
        return [outcome for outcome in self.recovery if outcome.due > ended + BACK_WITHIN_SECONDS]


async def _play(scene: Scene) -> Result:
    form = scene.form
    rate = await _sustainable(scene)
    level = await _come(scene, _LEVEL_SHARE * rate, form.before)
    watch = Watch({"transformer": scene.stack.direct, "predictor": scene.stack.predictor})
    async with watch.running():
        overload = await _come(scene, _TIMES_SUSTAINABLE * rate, form.crowd)
    recovery = await _come(scene, _LEVEL_SHARE * rate, BACK_WITHIN_SECONDS + form.after)
    crowd = Crowd(rate, level, overload, recovery)
    checks = [
        status("cached texts are 200", _cached(crowd.outcomes)),
        status("nothing is lost", crowd.outcomes, _EVER),
        status("all are 200 or 429", crowd.outcomes, _IN_TIME, timed=True),
        right(crowd.outcomes),
        _level(crowd),
        _accepted(crowd),
        _refused(crowd),
        *watch.memory_checks(),
        _recovered(crowd),
    ]
    return Result(checks, crowd.outcomes)


async def _sustainable(scene: Scene) -> float:
    """
    Requests/s that ten clients get answered who ask again as soon as they have their answer.
    """
    load, loop = scene.load(), asyncio.get_running_loop()
    began = loop.time()

    async def keep_asking() -> None:
        while loop.time() < began + scene.form.before:
            await load.ask(crowding(scene.texts), loop.time())

    await asyncio.gather(*(keep_asking() for _ in range(_CLIENTS)))
    return len(_with(load.outcomes, HTTPStatus.OK)) / (loop.time() - began)


async def _come(scene: Scene, rate: float, seconds: float) -> list[Outcome]:
    load = scene.load()
    async with load.running(rate, crowding):
        await asyncio.sleep(seconds)
    return load.outcomes


def _level(crowd: Crowd) -> Check:
    refused = len(_with(crowd.level, HTTPStatus.TOO_MANY_REQUESTS)) / len(crowd.level)
    figure = f"{refused:.1%} of {_LEVEL_SHARE * crowd.sustainable:.0f} requests/s"
    return Check(f"hardly any is refused at {_LEVEL_SHARE:.0%} load", refused <= _EVER_REFUSED, figure, timed=True)


def _accepted(crowd: Crowd) -> Check:
    usual, crowded = quantile(_computed(crowd.level), 0.99), quantile(_computed(crowd.overload), 0.99)
    law = f"new texts that are let in take at most {_TIMES_LEVEL} times their p99 at {_LEVEL_SHARE:.0%} load"
    hits = f"hits {ms(quantile(_cached(crowd.level), 0.99))} and {ms(quantile(_cached(crowd.overload), 0.99))}"
    return Check(law, crowded <= _TIMES_LEVEL * usual, f"{ms(usual)}, then {ms(crowded)}; {hits}", timed=True)


def _refused(crowd: Crowd) -> Check:
    refused = _with(crowd.overload, HTTPStatus.TOO_MANY_REQUESTS)
    most = quantile(refused, 0.99)
    figure = f"{ms(most)} for 99 %, {ms(quantile(refused, 1))} for all of {len(refused)}"
    held = bool(refused) and most <= _REFUSED_WITHIN_SECONDS
    return Check(f"the rest is refused within {ms(_REFUSED_WITHIN_SECONDS)}", held, figure, timed=True)


def _recovered(crowd: Crowd) -> Check:
    before, after = quantile(_computed(crowd.level), 0.99), quantile(_computed(crowd.recovered), 0.99)
    held = bool(crowd.recovered) and statuses(crowd.recovered).keys() <= statuses(crowd.level).keys()
    figure = f"p99 {ms(before)} before, {ms(after)} then, {statuses(crowd.recovered)}"
    law = f"{BACK_WITHIN_SECONDS:g} s later all is as before"
    return Check(law, held and after <= _TIMES_OLD_LEVEL * before, figure, timed=True)


def _with(outcomes: Sequence[Outcome], code: HTTPStatus) -> list[Outcome]:
    return [outcome for outcome in outcomes if outcome.status == code]


def _computed(outcomes: Sequence[Outcome]) -> list[Outcome]:
    return [outcome for outcome in _with(outcomes, HTTPStatus.OK) if not outcome.cached]


def _cached(outcomes: Sequence[Outcome]) -> list[Outcome]:
    return [outcome for outcome in outcomes if outcome.cached]


ROWS = [
    Row(
        "overload",
        "5 times the sustainable load",
        _play,
        seconds=lambda form: 2 * form.before + form.crowd + form.after,
    ),
]
