import { appendFile, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { prefixPaths } from '../../prefix/layout.ts';
import { type FollowOptions, followSerialLog, readSerialTail, serialLogPath } from './serial-log.ts';

let dir: string;
let log: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'lago-serial-'));
  log = join(dir, 'web.console');
});
afterEach(async () => await rm(dir, { recursive: true }));

/** As virtlogd does it at 2 MiB. */
async function rotate(): Promise<void> {
  await rename(log, `${log}.0`);
  await writeFile(log, '');
}

/** Follows the log; `reads` resolves when all of that text has arrived, in this order and nothing else. */
function follow(options: Omit<FollowOptions, 'signal'> = {}) {
  const stop = new AbortController();
  const chunks = followSerialLog(log, { ...options, signal: stop.signal });
  let seen = '';
  return {
    async reads(text: string): Promise<void> {
      while (seen.length < text.length) {
        const { value, done } = await chunks.next();
        if (done === true) break;
        seen += String(value);
      }
      expect(seen).toBe(text);
    },
    /** Takes the first chunk, and with it the watch, before the test changes the file. */
    chunks,
    async stops(): Promise<void> {
      stop.abort();
      expect((await chunks.next()).done).toBe(true);
    },
  };
}

it('has one log per VM in the environment', () => {
  expect(serialLogPath(prefixPaths('/p'), 'web')).toBe('/p/logs/web.console');
});

describe('the end of a serial log', () => {
  it('is at most as long as wanted', async () => {
    await writeFile(log, '0123456789');
    expect(String((await readSerialTail(log, 4))?.bytes)).toBe('6789');
    expect(String((await readSerialTail(log, 100))?.bytes)).toBe('0123456789');
  });

  it('reaches into the file before the last rotation', async () => {
    await writeFile(log, 'first ');
    await rotate();
    await appendFile(log, 'second');
    expect(String((await readSerialTail(log, 100))?.bytes)).toBe('first second');
    expect(String((await readSerialTail(log, 8))?.bytes)).toBe('t second');
  });

  it('does not exist where there is no log', async () => {
    expect(await readSerialTail(log, 4)).toBeUndefined();
  });
});

describe('following a serial log', () => {
  it('goes on where the end was read, even when it was rotated meanwhile', async () => {
    await writeFile(log, 'before ');
    const tail = await readSerialTail(log, 100);
    await appendFile(log, 'late ');
    await rotate();
    await appendFile(log, 'new ');
    const reader = follow({ from: tail?.end ?? { inode: 0, offset: 0 } });
    await reader.reads('late ');
    await appendFile(log, 'newer');
    await reader.reads('late new newer');
    await reader.stops();
  });

  it('follows through rotations', async () => {
    await writeFile(log, '');
    const reader = follow({ from: (await readSerialTail(log, 0))?.end ?? { inode: 0, offset: 0 } });
    let expected = '';
    for (let round = 0; round < 5; round++) {
      const first = reader.chunks.next();
      await appendFile(log, `${round};`);
      expected = `${round};`;
      expect(String((await first).value)).toBe(expected);
      await rotate();
    }
    await reader.stops();
  });

  it('waits for a log that is not there yet', async () => {
    const reader = follow();
    const first = reader.chunks.next();
    await writeFile(log, 'hello');
    expect(String((await first).value)).toBe('hello');
    await reader.stops();
  });

  it('ends at once when it was cancelled before', async () => {
    const stop = new AbortController();
    stop.abort();
    expect((await followSerialLog(log, { signal: stop.signal }).next()).done).toBe(true);
  });
});
