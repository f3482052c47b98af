const BLOCK = 256 * 1024;

/** Small pieces as larger blocks: a stream costs as much for each. */
export async function* blocks(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let waiting: Buffer[] = [];
  let size = 0;
  for await (const piece of pieces) {
    // A copy: a piece keeps all of what it was cut from in memory.
    waiting.push(Buffer.from(piece));
    size += piece.length;
    if (size < BLOCK) continue;
    yield Buffer.concat(waiting);
    waiting = [];
    size = 0;
  }
  yield Buffer.concat(waiting);
}
