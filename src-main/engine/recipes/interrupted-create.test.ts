import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { settingsIn } from '../configuration/settings.test-support.ts';
import { type FaultPlan, injectFault } from '../core/fault.ts';
import { silentLog } from '../core/log.ts';
import { startOperation } from '../core/operation.ts';
import { createEnvironment } from '../create/create.ts';
import { readPrefix } from '../prefix/prefix.ts';
import { prefixRemoved, resolvePrefix, resolveWorkdir } from '../prefix/workdir.ts';
import { observe, prefixState } from '../runtime/observed/state.ts';
import type { RecipeContext } from '../runtime/recipe.ts';
import { destroyEnvironment } from './destroy.ts';
import { startEnvironment } from './lifecycle.ts';
import { createWorld } from './world.test-support.ts';

const NAME = 'demo';
let folder: string;
let workdir: string;
let context: RecipeContext;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lago-interrupted-'));
  workdir = join(folder, '.lago');
  await writeFile(
    join(folder, 'LagoInitFile'),
    JSON.stringify({
      domains: {
        web: { memory: 128, nics: [{ net: 'lan' }], disks: [{ type: 'empty', name: 'root', dev: 'vda', format: 'qcow2', size: '1M' }] },
      },
      nets: { lan: { type: 'nat', management: true, dhcp: { start: 100, end: 254 } } },
      'snapshot-keep': { last: 3 },
    }),
  );
  const world = createWorld();
  await mkdir(join(folder, 'leases'));
  const settings = settingsIn(folder);
  context = { ...world.context, settings, resourcesDir: join(import.meta.dirname, '../../../resources') };
});
afterEach(async () => {
  injectFault(undefined);
  await rm(folder, { recursive: true, force: true });
});

async function create(name = NAME): Promise<string> {
  const request = {
    initFile: join(folder, 'LagoInitFile'),
    workdir,
    name,
    start: false,
    skipBootstrap: true,
    // Only shared hosts lease subnets; creating does not connect to them.
    host: { kind: 'system', uri: 'test:///default' },
  } as const;
  const events = { onUuid: () => undefined, onReady: async () => await Promise.resolve() };
  return await startOperation({ kind: 'create', label: 'test' }, async (step) => await createEnvironment(context, request, step, events))
    .done;
}

async function destroy(): Promise<void> {
  const root = join(workdir, NAME);
  await startOperation({ kind: 'destroy', label: 'test' }, async (step) => {
    await destroyEnvironment(context, root, step);
    await prefixRemoved(root);
  }).done;
}

const leases = async (): Promise<readonly string[]> => (await readdir(join(folder, 'leases'))).filter((name) => name.endsWith('.lease'));

/** Runs `work` with a fault at each step and effect in turn, calling `prepare` before each; returns how many there were. */
async function atEachPoint(
  how: FaultPlan['how'],
  prepare: () => Promise<unknown>,
  work: () => Promise<unknown>,
  check: (point: string) => Promise<void>,
): Promise<number> {
  for (let at = 1; ; at++) {
    await rm(workdir, { recursive: true, force: true });
    await prepare();
    const run = injectFault({ at, how });
    const failed = await work().then(
      () => undefined,
      (error: unknown) => error,
    );
    const point = run.points[at - 1] ?? '';
    const { struck } = run;
    injectFault(undefined);
    if (!struck) {
      expect(failed).toBeUndefined();
      return at - 1;
    }
    // The "dead" process is this one, which lives on.
    if (how === 'die') await nameDeadHolder(join(workdir, NAME, '.lago-desktop.lock'));
    await check(`${at}: ${point}`);
  }
}

/** Makes the lock file look as if a killed process had left it. */
async function nameDeadHolder(lock: string): Promise<void> {
  if (!existsSync(lock)) return;
  const text = await readFile(lock, 'utf8');
  await writeFile(lock, text.replace(/"start":"\d+"/, '"start":"1"'));
}

describe('init', { timeout: 120_000 }, () => {
  it('leaves nothing when it fails at any step', async () => {
    const points = await atEachPoint(
      'fail',
      async () => await Promise.resolve(),
      create,
      async (point) => {
        expect([point, existsSync(workdir), await leases()]).toEqual([point, false, []]);
      },
    );
    expect(points).toBeGreaterThan(10);
  });

  it('killed at any step, can be recognised, destroyed, and repeated', async () => {
    const points = await atEachPoint(
      'die',
      async () => await Promise.resolve(),
      create,
      async (point) => {
        if (!existsSync(workdir)) return;
        expect((await resolveWorkdir({ cwd: folder })).path, point).toBe(workdir);
        const begun = existsSync(join(workdir, NAME));
        if (begun) {
          expect((await resolvePrefix({ cwd: folder })).path, point).toBe(join(workdir, NAME));
          if (existsSync(join(workdir, NAME, 'lago-desktop.json'))) {
            expect((await resolvePrefix({ cwd: '/', prefixPath: join(workdir, NAME) })).name, point).toBe(NAME);
          }
          const said = await startOperation({ kind: 'start', label: 'test' }, async (step) => {
            await startEnvironment(context, join(workdir, NAME), [], step);
          }).done.catch((error: unknown) => (error instanceof Error ? error.message : ''));
          expect(said, point).toBe('The environment demo was not finished: its creation was interrupted.');
        }
        expect(await create(), point).toBe(join(workdir, NAME));
        expect((await readPrefix(join(workdir, NAME))).specs.vms.map((vm) => vm.name)).toEqual(['web']);
      },
    );
    expect(points).toBeGreaterThan(10);
    await atEachPoint(
      'die',
      async () => await Promise.resolve(),
      create,
      async (point) => {
        if (!existsSync(join(workdir, NAME))) return;
        await destroy();
        expect([point, existsSync(workdir)]).toEqual([point, false]);
      },
    );
  });

  it('is shown as broken when it was killed', async () => {
    await atEachPoint(
      'die',
      async () => await Promise.resolve(),
      create,
      async (point) => {
        const prefix = await readPrefix(join(workdir, NAME)).catch(() => undefined);
        if (prefix === undefined || prefix.record?.phase === 'ready') return;
        const seen = await observe(prefix, createWorld().context.hosts, { plugins: context.plugins, log: silentLog });
        const state = await prefixState(prefix, context.hosts, seen);
        expect([point, state.phase, state.busy]).toEqual([point, 'broken', null]);
        expect(state.problem).toContain('interrupted');
      },
    );
  });

  it.each<[string, () => Promise<unknown>]>([
    ['an empty workdir', async () => await mkdir(workdir)],
    ['a link that was not put in its place', async () => await symlink(NAME, join(await made(workdir), '.current.4711.tmp'))],
    ['an empty folder', async () => await mkdir(join(workdir, NAME), { recursive: true })],
    [
      'a lock and a half-written record',
      async () => {
        const root = await made(join(workdir, NAME));
        await writeFile(join(root, '.lago-desktop.lock'), '{"pid":');
        await writeFile(join(root, 'lago-desktop.json.12345678.tmp'), '{');
      },
    ],
  ])('of the same name works after %s', async (_, leave) => {
    await leave();
    expect(await create()).toBe(join(workdir, NAME));
    expect((await resolvePrefix({ cwd: folder })).name).toBe(NAME);
  });

  it('does not touch a folder of the user', async () => {
    await create('other');
    await writeFile(join(await made(join(workdir, NAME)), 'thesis.txt'), 'x');
    await expect(create()).rejects.toMatchObject({ code: 'prefix.exists' });
    expect(await readdir(join(workdir, NAME))).toEqual(['thesis.txt']);
    await expect(destroy()).rejects.toMatchObject({
      code: 'prefix.missing',
      message: expect.stringContaining('is not a Lago prefix') as string,
    });
    expect(await readdir(join(workdir, NAME))).toEqual(['thesis.txt']);
  });
});

describe('two inits of one name', { timeout: 120_000 }, () => {
  it('end with one environment and one refusal', async () => {
    for (let round = 0; round < 8; round++) {
      await rm(workdir, { recursive: true, force: true });
      const outcomes = await Promise.allSettled([create(), create()]);
      const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
      expect(refused.map((outcome) => String(outcome.reason.code))).toEqual([expect.stringMatching(/^(prefix\.exists|conflict\.locked)$/)]);
      expect((await readPrefix(join(workdir, NAME))).record).toMatchObject({ phase: 'ready', snapshotKeep: { last: 3 } });
      expect((await leases()).length).toBe(1);
      await destroy();
    }
  });

  it('wait for one that is undoing its work', async () => {
    // The first fails late and undoes its work while the second one waits for the name.
    const run = injectFault({ at: 12, how: 'fail' });
    const first = create();
    const second = create();
    const outcomes = await Promise.allSettled([first, second]);
    expect(run.struck).toBe(true);
    injectFault(undefined);
    const whole = outcomes.some((outcome) => outcome.status === 'fulfilled');
    expect(existsSync(join(workdir, NAME, 'initialized'))).toBe(whole);
    if (!whole) expect(existsSync(join(workdir, NAME))).toBe(false);
  });
});

describe('destroy', { timeout: 120_000 }, () => {
  it.each(['fail', 'die'] as const)('is finished by the next one (%s)', async (how) => {
    const points = await atEachPoint(how, create, destroy, async (point) => {
      if (existsSync(join(workdir, NAME))) await destroy();
      expect([point, existsSync(join(workdir, NAME)), await leases()]).toEqual([point, false, []]);
    });
    expect(points).toBeGreaterThan(3);
  });

  it('is finished by the next one whatever was removed, and also by an init of the name', async () => {
    for (const finish of [destroy, create]) {
      await create();
      const root = join(workdir, NAME);
      for (let kept = (await readdir(root)).length; kept >= 0; kept--) {
        await removeSome(root, kept);
        await finish();
        expect(existsSync(join(root, 'initialized'))).toBe(finish === create);
        if (finish === destroy) await create();
      }
      await destroy();
    }
  });
});

/** Leaves what a destroy killed after removing all but `kept` files would leave. */
async function removeSome(root: string, kept: number): Promise<void> {
  const record = join(root, 'lago-desktop.json');
  const { readRecord, writeRecord } = await import('../prefix/record.ts');
  const present = await readRecord(record);
  if (present === undefined) throw new Error('no record');
  const pending = { kind: 'destroy' as const, name: null, step: 'removing', since: 0, vms: [], running: [], hostWasUp: false };
  await writeRecord(record, { ...present, pending });
  const last = ['uuid', 'lago-desktop.json', '.lago-desktop.lock'];
  const order = [...(await readdir(root)).filter((name) => !last.includes(name)), ...last];
  for (const name of order.slice(0, Math.max(0, order.length - kept))) await rm(join(root, name), { recursive: true, force: true });
}

async function made(path: string): Promise<string> {
  await mkdir(path, { recursive: true });
  return path;
}

describe('the holder of a lock', () => {
  it('is nobody once its process was killed', async () => {
    const { readHolder } = await import('../core/lock.ts');
    const path = join(folder, 'held');
    const lock = join(import.meta.dirname, '../core/lock.ts');
    const script = `import { takeLock } from ${JSON.stringify(lock)}; await takeLock(${JSON.stringify(path)}, { purpose: 'start' }); console.log('held'); setInterval(() => {}, 1000);`;
    const loader = join(import.meta.dirname, '../../../scripts/typescript.mjs');
    const child = spawn(process.execPath, ['--import', loader, '--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await new Promise((resolve) => child.stdout.once('data', resolve));
    expect(await readHolder(path)).toMatch(/^start \(pid \d+/);
    const gone = new Promise((resolve) => child.once('close', resolve));
    child.kill('SIGKILL');
    await gone;
    expect(await readHolder(path)).toBeUndefined();
  });
});
