import type { z } from 'zod';

/** The value in a line of a log of JSON; none in an empty line, one of another version, and one that was cut off or is still being written. */
export function valueOfLine<T>(line: string, schema: z.ZodType<T>): readonly T[] {
  if (line === '') return [];
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    // Whoever wrote it was killed, or is not done.
    return [];
  }
  const parsed = schema.safeParse(value);
  return parsed.success ? [parsed.data] : [];
}
