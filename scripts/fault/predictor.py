"""
The rows in which the predictor fails or changes: it costs new texts only, and never the truth.
"""

import asyncio
import random
from functools import partial

from fault.checks import mixed, right, status
from fault.form import Form
from fault.load import mixed as mixed_load
from fault.outcome import BACK_WITHIN_SECONDS, quantile
from fault.row import Result, Row
from fault.scene import Deed, Scene
from fault.verdict import Check

_UNANSWERED = (200, 503, 504)
_IN_TIME_SLACK_SECONDS = 0.5


async def kill(scene: Scene) -> None:
    """
    SIGKILL.
    """
    scene.stack.predictor.kill()


async def start(scene: Scene) -> None:
    """
    Start it again.
    """
    scene.stack.predictor.start()
    await scene.stack.predictor.ready()


async def hang(scene: Scene) -> None:
    """
    SIGSTOP.
    """
    scene.stack.predictor.hang()


async def go_on(scene: Scene) -> None:
    """
    SIGCONT.
    """
    scene.stack.predictor.go_on()


async def slow_down(scene: Scene) -> None:
    """
    Answer after about as long as the transformer waits, sometimes sooner and sometimes later.
    """
    limit = scene.form.predictor_timeout
    scene.stack.predictor_proxy.delay = lambda: random.uniform(0.5, 1.5) * limit


async def answer_at_once(scene: Scene) -> None:
    """
    Answer soon again.
    """
    scene.stack.predictor_proxy.delay = float


async def split(scene: Scene) -> None:
    """
    Send every other question to the other model.
    """
    scene.stack.predictor_proxy.aim(scene.stack.predictor.port, scene.stack.other.port)


async def join(scene: Scene) -> None:
    """
    Send every question to the main model.
    """
    scene.stack.predictor_proxy.aim(scene.stack.predictor.port)


async def _play(scene: Scene, strike: Deed, heal: Deed) -> Result:
    played = await scene.play(strike, heal, scene.form.predictor_fault)
    await scene.recover()
    cached = [outcome for outcome in played.outcomes if outcome.cached]
    new = [outcome for outcome in played.outcomes if not outcome.cached]
    slowest, limit = quantile(new, 1), scene.form.predictor_timeout
    refused = [outcome for outcome in new if outcome.status in _UNANSWERED[1:]]
    checks = [
        status("cached texts are 200", cached),
        status("new texts are 200 before", [outcome for outcome in played.before if not outcome.cached]),
        status("new texts are 200, 503 or 504", new, _UNANSWERED),
        right(played.outcomes),
        mixed(played.outcomes),
        Check("the fault was felt", bool(refused), f"{len(refused)} of {len(new)} new texts refused"),
        Check(f"in time: {limit:g} s", slowest <= limit + _IN_TIME_SLACK_SECONDS, f"{slowest:.2f} s", timed=True),
        status(f"all are 200 {BACK_WITHIN_SECONDS:g} s after it is back", played.recovered, timed=True),
    ]
    return Result(checks, played.outcomes)


async def _play_canary(scene: Scene) -> Result:
    played = await scene.play(split, join, scene.form.during)
    hits, texts = (sum(getattr(each, name) for each in played.during) for name in ("hits", "texts"))
    told = {outcome.revision for outcome in played.during}
    both = told == {scene.main, scene.other}
    checks = [
        status("every answer is 200", played.outcomes),
        right(played.outcomes),
        mixed(played.outcomes),
        Check("both revisions answer", both, f"{len(told)} did"),
        Check("the hit ratio stays above 0", hits > 0, f"{hits} of {texts} texts"),
    ]
    return Result(checks, played.outcomes)


async def _play_other_model(scene: Scene) -> Result:
    form, stack, loop = scene.form, scene.stack, asyncio.get_running_loop()
    load, bound = scene.load(), form.refresh + form.bound_slack
    try:
        async with load.running(form.rate, mixed_load):
            await asyncio.sleep(form.before)
            stack.predictor.kill()
            stack.predictor.start(MODEL_DIR=str(stack.other_model))
            await stack.predictor.ready()
            ready = loop.time()
            await asyncio.sleep(bound + form.after)
        await scene.until(scene.tells_other, "the new model answers")
    finally:
        stack.predictor.kill()
    late = [outcome for outcome in load.outcomes if outcome.due > ready + bound]
    old = sum(outcome.revision == scene.main for outcome in late)
    law = f"none is of the old model {form.refresh:g} s after"
    checks = [
        status("cached texts are 200", [outcome for outcome in load.outcomes if outcome.cached]),
        status("new texts are 200, 503 or 504", load.outcomes, _UNANSWERED),
        right(load.outcomes),
        Check(law, bool(late) and not old, f"{old} of {len(late)} are", timed=True),
        Check("the new model answers in the end", held=True, figure="it does"),
    ]
    return Result(checks, load.outcomes)


def _seconds(form: Form) -> float:
    return form.before + form.predictor_fault + form.after


ROWS = [
    Row(
        "predictor-killed",
        "the predictor is killed, and starts again",
        partial(_play, strike=kill, heal=start),
        seconds=_seconds,
    ),
    Row("predictor-hung", "the predictor hangs", partial(_play, strike=hang, heal=go_on), seconds=_seconds),
    Row(
        "predictor-slow",
        "the predictor takes about as long as the transformer waits",
        partial(_play, strike=slow_down, heal=answer_at_once),
        seconds=_seconds,
        through=True,
    ),
    Row(
        "predictor-other-model",
        "the predictor restarts with another model",
        _play_other_model,
        seconds=_seconds,
        other=True,
    ),
    Row("canary", "two revisions behind one address, turn by turn", _play_canary, through=True, other=True),
]
