"""A way to a Unix socket that takes time, each way. Arguments: a socket to listen at, the one behind it, milliseconds."""
import asyncio
import sys

front, behind, delay = sys.argv[1], sys.argv[2], float(sys.argv[3]) / 1000


async def carry(reader, writer):
    loop = asyncio.get_running_loop()
    under_way = asyncio.Queue()

    async def deliver():
        while True:
            due, data = await under_way.get()
            await asyncio.sleep(max(0, due - loop.time()))
            if not data:
                writer.close()
                return
            writer.write(data)
            await writer.drain()

    delivery = asyncio.create_task(deliver())
    try:
        while True:
            data = await reader.read(1 << 16)
            await under_way.put((loop.time() + delay, data))
            if not data:
                break
    except ConnectionError:
        await under_way.put((0, b""))
    await delivery


async def accept(reader, writer):
    other_reader, other_writer = await asyncio.open_unix_connection(behind)
    await asyncio.gather(carry(reader, other_writer), carry(other_reader, writer), return_exceptions=True)


async def main():
    async with await asyncio.start_unix_server(accept, front) as server:
        await server.serve_forever()


asyncio.run(main())
