"""Every test of the data path runs on both loops."""

import asyncio

import pytest
import uvloop


@pytest.fixture(params=["uvloop", "asyncio"])
def run(request):
    """Runs a coroutine to its end, within a bound."""

    def go(coroutine, seconds=30):
        async def bounded():
            async with asyncio.timeout(seconds):
                return await coroutine

        factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(bounded())

    return go
