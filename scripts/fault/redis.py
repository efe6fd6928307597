"""
The rows in which Redis fails, and nobody notices.
"""

from functools import partial

from fault import redis_deeds as deeds
from fault.checks import back_to_level, mixed, right, status
from fault.row import Result, Row
from fault.scene import Deed, Scene
from fault.verdict import Check


async def _play(scene: Scene, strike: Deed, heal: Deed) -> Result:
    played = await scene.play(strike, heal, scene.form.redis_fault)
    checks = [
        status("every answer is 200", played.outcomes),
        right(played.outcomes),
        mixed(played.outcomes),
        back_to_level(played),
    ]
    return Result(checks, played.outcomes)


async def _play_breaker(scene: Scene, strike: Deed, heal: Deed) -> Result:
    before = scene.breaker_openings()
    checks, outcomes = await _play(scene, strike, heal)
    opened = scene.breaker_openings() - before
    return Result([*checks, Check("the breaker opens", opened > 0, f"{opened} times")], outcomes)


async def _play_restart(scene: Scene) -> Result:
    checks, outcomes = await _play(scene, deeds.restart, deeds.carry_well)
    keys = await scene.stack.admin.dbsize()
    return Result([*checks, Check("answers are stored again", keys > 0, f"{keys} keys")], outcomes)


async def _play_overwritten(scene: Scene) -> Result:
    checks, outcomes = await _play(scene, deeds.overwrite, deeds.carry_well)
    rest = await scene.ask_each(scene.texts.shared)
    taken = sum(outcome.hits for outcome in rest)
    more = [
        status("every answer is 200 afterwards", rest),
        right(rest),
        Check("no wrong value is taken for an answer", bool(rest) and not taken, f"{taken} of {len(rest)}"),
    ]
    return Result([*checks, *more], [*outcomes, *rest])


ROWS = [
    Row("redis-killed", "Redis is killed", partial(_play, strike=deeds.kill, heal=deeds.start)),
    Row("redis-hung", "Redis hangs", partial(_play_breaker, strike=deeds.hang, heal=deeds.go_on)),
    Row("redis-restarted", "Redis restarts, empty", _play_restart),
    Row(
        "redis-full",
        "Redis has no memory left and evicts nothing",
        partial(_play, strike=deeds.fill, heal=deeds.give_room),
    ),
    Row("redis-read-only", "Redis is a read-only replica", partial(_play, strike=deeds.demote, heal=deeds.promote)),
    Row(
        "redis-password",
        "Redis' password is changed",
        partial(_play, strike=deeds.change_password, heal=deeds.drop_password),
    ),
    Row(
        "redis-slow",
        "every reply of Redis is late",
        partial(_play_breaker, strike=deeds.slow_down, heal=deeds.carry_well),
        through=True,
    ),
    Row(
        "redis-cut",
        "replies of Redis end in the middle",
        partial(_play, strike=deeds.cut, heal=deeds.carry_well),
        through=True,
    ),
    Row("redis-overwritten", "values in Redis are junk, another text's or revision's, NaN", _play_overwritten),
]
