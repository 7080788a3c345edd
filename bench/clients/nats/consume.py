"""Consumes and acknowledges so many messages of the stream `benchstream` with nats.py: consume.py URL COUNT."""
import asyncio
import json
import sys
import time

import nats


async def main(url, count):
    connection = await nats.connect(url)
    stream = connection.jetstream()
    subscription = await stream.pull_subscribe("stored", durable=None, stream="benchstream")
    begin, left = time.perf_counter(), count
    while left > 0:
        for message in await subscription.fetch(min(left, 1_000), timeout=30):
            await message.ack()
            left -= 1
    await connection.flush()
    print(json.dumps({"seconds": time.perf_counter() - begin}))
    await connection.close()


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
