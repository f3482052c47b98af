import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readMembers, type TarMember } from './tar-members.ts';
import { type TarHeader, tarEnd, tarHeader, tarPadding } from './tar-writer.ts';

function archive(list: readonly (TarHeader & { readonly content?: Buffer })[]): Buffer {
  const parts = list.flatMap(({ content = Buffer.alloc(0), ...header }) => [
    tarHeader({ ...header, size: content.length }),
    content,
    tarPadding(content.length),
  ]);
  return Buffer.concat([...parts, tarEnd()]);
}

async function read(data: Buffer): Promise<(Omit<TarMember, 'content'> & { readonly text: string })[]> {
  const found: (Omit<TarMember, 'content'> & { readonly text: string })[] = [];
  const input = (async function* () {
    yield await Promise.resolve(data);
  })();
  for await (const { content, ...member } of readMembers(input, 1000, (why) => new Error(why) as never)) {
    const chunks: Buffer[] = [];
    for await (const chunk of content) chunks.push(chunk);
    found.push({ ...member, text: Buffer.concat(chunks).toString() });
  }
  return found;
}

test('what is written is read, whatever the names', async () => {
  const name = fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 300 })
    .filter((text) => !/[\0\ufffd/]/.test(text) && Buffer.from(text).toString() === text);
  const file = fc.record({
    name,
    mode: fc.integer({ min: 0, max: 0o7777 }),
    mtime: fc.integer({ min: 0, max: 2 ** 33 }),
    content: fc.string({ maxLength: 1500 }).map((text) => Buffer.from(text)),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(file, { maxLength: 5 }), name, async (files, target) => {
      const list = [
        ...files.map((one) => ({ ...one, type: 'file' as const })),
        { name: 'l', type: 'link' as const, mode: 0o777, mtime: 0, target },
      ];
      const found = await read(archive(list));
      expect(found.map(({ name: of, mode, mtime, text }) => ({ name: of, mode, mtime, text }))).toEqual(
        [...files, { name: 'l', mode: 0o777, mtime: 0, content: Buffer.alloc(0) }].map(({ name: of, mode, mtime, content }) => ({
          name: of,
          mode,
          mtime,
          text: content.toString(),
        })),
      );
      expect(found.at(-1)?.target).toBe(target);
    }),
    { numRuns: 100 },
  );
});

test('GNU tar lists what is written, also more than 8 GiB', () => {
  const long = `${'long-'.repeat(30)}ünï`;
  const data = Buffer.concat([
    archive([
      { name: 'folder', type: 'folder', mode: 0o750, mtime: 1e9 },
      { name: long, type: 'file', mode: 0o644, mtime: 1e9, content: Buffer.from('x') },
      { name: 'l', type: 'link', mode: 0o777, mtime: 1e9, target: long },
    ]).subarray(0, -1024),
    tarHeader({ name: 'huge', type: 'file', mode: 0o600, mtime: 1e9, size: 2 ** 34 }),
  ]);
  // It complains that the last one is cut off, after listing it.
  const listed = execFileSync('sh', ['-c', 'tar -tvf - --utc --quoting-style=literal 2>/dev/null || true'], {
    input: data,
    encoding: 'utf8',
    env: { ...process.env, LC_ALL: 'C.UTF-8' },
  });
  expect(listed).toContain(`drwxr-x--- 0/0               0 2001-09-09 01:46 folder/`);
  expect(listed).toContain(long);
  expect(listed).toContain(` l -> ${long}`);
  expect(listed).toContain(`${2 ** 34} 2001-09-09 01:46 huge`);
});
