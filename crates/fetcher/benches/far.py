"""A far archive on loopback: files of one size, each answered after a delay.

    python3 far.py PORT MILLISECONDS BYTES
"""
import asyncio
import os
import sys

PORT, DELAY, SIZE = int(sys.argv[1]), float(sys.argv[2]) / 1000, int(sys.argv[3])
BODY = os.urandom(SIZE)


async def serve(reader, writer):
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
            await asyncio.sleep(DELAY)
            status, body, more = b"200 OK", BODY, b""
            for line in head:
                if line.lower().startswith(b"range: bytes="):
                    start, end = line.split(b"=")[1].split(b"-")
                    start, end = int(start), min(int(end or SIZE - 1), SIZE - 1)
                    status, body = b"206 Partial Content", BODY[start:end + 1]
                    more = b"Content-Range: bytes %d-%d/%d\r\n" % (start, end, SIZE)
            writer.write(b'HTTP/1.1 %s\r\nETag: "x"\r\nContent-Length: %d\r\n%s\r\n' % (status, len(body), more) + body)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main():
    async with await asyncio.start_server(serve, "127.0.0.1", PORT, limit=1 << 16, backlog=1024) as server:
        await server.serve_forever()

asyncio.run(main())
