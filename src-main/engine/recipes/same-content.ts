import { createReadStream } from 'node:fs';

/** Whether two files of the same size have the same content. */
export async function sameContent(one: string, other: string): Promise<boolean> {
  const second = createReadStream(other)[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  for await (const chunk of createReadStream(one) as AsyncIterable<Buffer>) {
    // Both have the same size, and are read in chunks of the same size.
    const next = await second.next();
    if (next.done === true || !chunk.equals(next.value)) {
      await second.return?.();
      return false;
    }
  }
  await second.return?.();
  return true;
}
