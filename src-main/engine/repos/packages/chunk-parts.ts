/**
 * A chunk as it is, or, if it has to be joined with what is left of the one before, in two parts: up to the end of the first `mark`, and the
 * rest. So only a small part is copied: with chunks of 256 KiB, copies of all would be most of the memory that reading takes.
 */
export function chunkParts(chunk: Buffer, joins: boolean, mark: Buffer): readonly Buffer[] {
  const found = joins ? chunk.indexOf(mark) : -1;
  if (found < 0) return [chunk];
  const end = found + mark.length;
  return [chunk.subarray(0, end), chunk.subarray(end)];
}
