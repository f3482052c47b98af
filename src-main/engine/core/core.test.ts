import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { readJson, writeJson } from './files/json-file.ts';
import { readHolder, takeLock } from './lock.ts';
import { createLog, silentLog } from './log.ts';
import { run, runChecked } from './run.ts';
import { UndoStack } from './undo.ts';
import { forEachLimit, sleep } from './until.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lago-core-'));
});
afterAll(async () => await rm(folder, { recursive: true, force: true }));

describe('run', () => {
  it('gives exit code and both streams, feeds stdin', async () => {
    const result = await run(['sh', '-c', 'cat; echo err >&2; exit 3'], { input: 'hello' });
    expect(result).toEqual({ code: 3, signal: null, stdout: 'hello', stderr: 'err\n' });
  });
  it('names a program that is not installed', async () => {
    await expect(run(['no-such-program-here'])).rejects.toMatchObject({
      code: 'host.missing-tool',
      details: { program: 'no-such-program-here' },
    });
  });
  it('ends a whole group on abort, also what its leader left behind', async () => {
    const abort = new AbortController();
    const running = run(['sh', '-c', '(echo begun; exec sleep 1000.5) & wait'], {
      asGroup: true,
      signal: abort.signal,
      onLine: () => abort.abort(),
    });
    await expect(running).rejects.toMatchObject({ code: 'cancelled' });
  });
  it('ends the program on abort', async () => {
    const abort = new AbortController();
    const started = Date.now();
    const running = run(['sleep', '30'], { signal: abort.signal });
    setTimeout(() => abort.abort(), 20);
    await expect(running).rejects.toMatchObject({ code: 'cancelled' });
    expect(Date.now() - started).toBeLessThan(5000);
  });
  it('keeps the command out of the message and in the details', async () => {
    await expect(runChecked(['sh', '-c', 'echo broken >&2; exit 1'], 'It failed.')).rejects.toMatchObject({
      message: 'It failed. broken',
      details: { exit: 1 },
    });
  });
});

describe('the lines of a program', () => {
  it('are whole where a chunk ends within a character', async () => {
    const lines: string[] = [];
    // One single-byte character before many two-byte ones: a pipe that cuts at an even offset cuts a character.
    const program = "process.stdout.write('x' + 'ä'.repeat(200_000) + '\\nend')";
    await run([process.execPath, '-e', program], { onLine: (line) => lines.push(line) });
    expect(lines.map((line) => line.length)).toEqual([200_001, 3]);
    expect(lines.join('')).not.toContain('\ufffd');
  });
});

describe('json-file', () => {
  it('writes with the mode asked for, whatever the umask, and leaves no temporary file', async () => {
    const path = join(folder, 'a.json');
    await writeJson(path, { a: 1 }, 0o666);
    expect((await stat(path)).mode & 0o777).toBe(0o666);
    expect(await readFile(path, 'utf8')).toBe('{\n    "a": 1\n}');
    expect((await readdir(folder)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });
  it('tells which file is damaged and where', async () => {
    const path = join(folder, 'b.json');
    await writeFile(path, '{"a": "x"}');
    await expect(readJson(path, z.object({ a: z.number() }))).rejects.toThrow(`${path} is damaged at a`);
    await writeFile(path, '{');
    await expect(readJson(path, z.object({}))).rejects.toThrow(`${path} is not valid JSON`);
    expect(await readJson(join(folder, 'none'), z.object({}))).toBeUndefined();
  });
});

describe('takeLock', () => {
  it('excludes a second holder, names the first, and is free after release', async () => {
    const path = join(folder, 'lock');
    const first = await takeLock(path, { purpose: 'start' });
    await expect(takeLock(path)).rejects.toMatchObject({ code: 'conflict.locked' });
    expect(await readHolder(path)).toMatch(/^start \(pid \d+, since \d+ s\)$/);
    await first.release();
    await using again = await takeLock(path);
    expect(again).toBeDefined();
  });
  it('is free at once when its holder was killed', async () => {
    const path = join(folder, 'killed');
    const child = spawn('flock', ['-x', path, 'sh', '-c', 'echo held; exec sleep 60'], {
      stdio: ['ignore', 'pipe', 'ignore'],
      detached: true,
    });
    await new Promise((resolve) => child.stdout.once('data', resolve));
    await expect(takeLock(path)).rejects.toMatchObject({ code: 'conflict.locked' });
    process.kill(-(child.pid ?? 0), 'SIGKILL');
    await using held = await takeLock(path, { waitMs: 5000 });
    expect(held).toBeDefined();
  });
});

describe('a lock file that is removed', () => {
  it('is not what a waiter gets', async () => {
    const path = join(folder, 'removed');
    const first = await takeLock(path);
    const waiting = takeLock(path, { waitMs: 20_000, purpose: 'second' });
    await rm(path);
    await first.release();
    await using second = await waiting;
    expect(second).toBeDefined();
    expect(await readHolder(path)).toMatch(/^second /);
    await expect(takeLock(path)).rejects.toMatchObject({ code: 'conflict.locked' });
  });
  it('is no lock when its folder is gone', async () => {
    const folderOfIt = join(folder, 'gone');
    await mkdir(folderOfIt);
    const first = await takeLock(join(folderOfIt, 'lock'));
    const waiting = takeLock(join(folderOfIt, 'lock'), { waitMs: 20_000 });
    const refused = expect(waiting).rejects.toMatchObject({ code: 'ENOENT' });
    await rm(folderOfIt, { recursive: true });
    await first.release();
    await refused;
  });
});

describe('UndoStack', () => {
  it('undoes in reverse order unless committed, even after an undo fails', async () => {
    const order: string[] = [];
    {
      await using undo = new UndoStack(silentLog);
      undo.add('first', () => void order.push('first'));
      undo.add('second', () => {
        order.push('second');
        throw new Error('stuck');
      });
      undo.add('third', () => void order.push('third'));
    }
    expect(order).toEqual(['third', 'second', 'first']);
    const kept = new UndoStack(silentLog);
    kept.add('x', () => void order.push('never'));
    kept.commit();
    await kept.unwind();
    expect(order).not.toContain('never');
  });
  it('reports what it could not undo after undoing everything else', async () => {
    const order: string[] = [];
    const undo = new UndoStack(createLog((level, message) => void order.push(`${level}: ${message}`)));
    undo.add('remove the rest', () => void order.push('removed'));
    undo.add('stop web', () => {
      throw new Error('It does not answer.');
    });
    await undo.unwind();
    expect(order).toEqual([
      'debug: Undo step failed: stop web: It does not answer.',
      'removed',
      'error: Not undone: stop web. It does not answer.',
    ]);
  });
  it('gives each undo the time it asks for', async () => {
    const undo = new UndoStack(silentLog);
    const ended: string[] = [];
    const untilAborted = (name: string) => async (signal: AbortSignal) => {
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
      ended.push(name);
    };
    undo.add('long', (signal) => void ended.push(signal.aborted ? 'too late' : 'in time'));
    undo.add('short', untilAborted('short'), { timeoutMs: 1 });
    await undo.unwind();
    expect(ended).toEqual(['short', 'in time']);
  });
});

describe('forEachLimit', () => {
  it('keeps the limit and the order', async () => {
    let now = 0;
    let most = 0;
    const result = await forEachLimit([5, 1, 3, 2], 2, undefined, async (item) => {
      most = Math.max(most, ++now);
      await sleep(item);
      now--;
      return item * 2;
    });
    expect(result).toEqual([10, 2, 6, 4]);
    expect(most).toBe(2);
  });
});
