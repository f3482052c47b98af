import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ScriptLog } from './script-log.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lago-script-log-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

/** Writes these pieces and returns the lines that were passed on. */
async function linesOf(...pieces: readonly Buffer[]): Promise<{ lines: readonly string[]; last: readonly string[]; file: Buffer }> {
  const lines: string[] = [];
  const log = await ScriptLog.create(join(folder, 'log'), (line) => lines.push(line));
  for (const piece of pieces) await log.write(piece);
  const last = log.lastLines(2);
  await log.close();
  return { lines, last, file: await readFile(join(folder, 'log')) };
}

it('passes on whole lines, also of characters cut in two, and keeps every byte', async () => {
  const bytes = Buffer.from('größe\nzwei\n\nthe end');
  const { lines, last, file } = await linesOf(...[...bytes].map((byte) => Buffer.from([byte])));
  expect(lines).toEqual(['größe', 'zwei', '', 'the end']);
  expect(last).toEqual(['zwei', 'the end']);
  expect(file).toEqual(bytes);
});

it('shows lines as a terminal would leave them', async () => {
  const { lines } = await linesOf(Buffer.from('10 %\r50 %\r100 %\r\n\u001b[31mred\u001b[0m\u0007\n'));
  expect(lines).toEqual(['100 %', 'red']);
});

it('keeps what is no text, and cuts endless lines', async () => {
  const binary = Buffer.from([0xff, 0x00, 0xfe, 0x0a]);
  const endless = Buffer.alloc(10_000, 'x');
  const { lines, file } = await linesOf(binary, endless);
  expect(lines.slice(1).map((line) => line.length)).toEqual([4000, 4000, 2000]);
  expect(file).toEqual(Buffer.concat([binary, endless]));
});
