import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { memorySinks, type SinkPlace } from './memory-sink.ts';

const open = memorySinks(join(import.meta.dirname, '../../../resources'));
let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lago-sink-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const place = (name: string): SinkPlace => ({ socket: join(folder, `${name}.mem`), file: join(folder, `${name}.memory`) });

async function connected({ socket }: SinkPlace): Promise<Socket> {
  const made = connect(socket);
  await once(made, 'connect');
  return made;
}

/** The processes that have this word on their command line. */
function runningOn(word: string): readonly string[] {
  return readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && commandOf(pid).includes(`${word}\0`));
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return ''; // it has ended
  }
}

describe('sinks of memory', () => {
  test('take one connection each, into files of their owner only', async () => {
    const places = [place('a'), place('b')];
    await using opened = await open(places);
    expect(opened.sinks.map(({ uri }) => uri)).toEqual(places.map(({ socket }) => `unix:${socket}`));
    const [a, b] = await Promise.all(places.map(connected));
    a?.end('first');
    b?.end(Buffer.alloc(3_000_000, 7));
    expect(await Promise.all(opened.sinks.map(async (sink) => await sink.written()))).toEqual([5, 3_000_000]);
    expect(readFileSync(join(folder, 'a.memory'), 'utf8')).toBe('first');
    expect(statSync(join(folder, 'b.memory')).mode & 0o777).toBe(0o600);
    expect(opened.sinks[1]?.arrived()).toBe(3_000_000);
  });

  test('take everything also when it cannot be written, and say so', async () => {
    const there = place('there');
    writeFileSync(there.file, 'something else');
    await using opened = await open([there]);
    const from = await connected(there);
    const closed = once(from, 'close');
    from.end(Buffer.alloc(20_000_000, 1));
    await expect(opened.sinks[0]?.written()).rejects.toThrow(/there\.memory/);
    await closed;
    expect(from.bytesWritten).toBe(20_000_000);
    expect(readFileSync(there.file, 'utf8')).toBe('something else');
  });

  test('go on to the end without the process that opened them', async () => {
    const one = place('one');
    const from = await (async () => {
      await using _opened = await open([one]);
      const made = await connected(one);
      made.write('before');
      return made;
    })();
    from.end(', after');
    await expect.poll(() => existsSync(one.file) && readFileSync(one.file, 'utf8'), { timeout: 20_000 }).toBe('before, after');
  });

  test('that wait for nobody leave those alone that have taken their place', async () => {
    const [one, again] = [place('one'), { ...place('again'), socket: place('one').socket }];
    const first = await open([one]);
    await first[Symbol.asyncDispose]();
    await using second = await open([again]);
    await expect.poll(() => runningOn(one.file), { timeout: 20_000 }).toEqual([]);
    const from = await connected(again);
    from.end('arrives');
    expect(await second.sinks[0]?.written()).toBe(7);
  });

  test('are taken to the end even when their process is killed', async () => {
    const one = place('one');
    await using opened = await open([one]);
    const from = await connected(one);
    from.write('begins');
    await expect.poll(() => existsSync(one.file) && readFileSync(one.file, 'utf8')).toBe('begins');
    const [pid] = runningOn(one.file);
    process.kill(Number(pid), 'SIGKILL');
    await expect(opened.sinks[0]?.written()).rejects.toMatchObject({ code: 'host.unavailable' });
    const rest = Buffer.alloc(5_000_000, 1);
    from.end(rest);
    await once(from, 'close');
    expect(from.bytesWritten).toBe(rest.length + 6);
  });

  test('that cannot be opened say why', async () => {
    await expect(open([{ socket: join(folder, 'nowhere/x.mem'), file: join(folder, 'x') }])).rejects.toMatchObject({
      code: 'host.unavailable',
      message: expect.stringContaining('listen') as string,
    });
  });
});
