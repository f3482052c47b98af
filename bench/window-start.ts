import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { electronArgv, ensureRuntime } from '../scripts/electron-runtime.mjs';
import { openVirtualScreen } from '../scripts/virtual-screen.mjs';
import { alternate, makeScratch, root } from './support/measure.ts';

/** From the start of the process to the first frame in which the user can open a file, engine connected. */
export const title = 'our window usable against an empty Electron window, warm profile';
export const goal = 'ratio <= 1.3';

const PATIENCE_MS = 60_000;

async function untilUsable(argv: readonly string[], env: Readonly<Record<string, string>>): Promise<number> {
  const [program = '', ...args] = argv;
  const began = performance.now();
  return await new Promise((done, fail) => {
    const child = spawn(program, args, { cwd: root, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
    let usable: number | undefined;
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => {
      if (chunk.toString().includes('usable')) usable ??= performance.now() - began;
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    child.on('error', fail);
    child.on('close', () => {
      clearTimeout(timer);
      if (usable === undefined) fail(new Error(`${argv.join(' ')} never showed a usable window:\n${stderr.slice(-2000)}`));
      else done(usable);
    });
  });
}

export async function run(): Promise<Record<string, number>> {
  if (!existsSync(join(root, 'out/main/index.js'))) throw new Error('out/main is missing: npm run build makes it.');
  const { dist } = await ensureRuntime();
  const screen = await openVirtualScreen();
  using scratch = makeScratch();
  const [program = '', ...flags] = electronArgv(dist) as string[];
  const probe = ['-r', join(root, 'bench/reference/window-probe.cjs')];
  const start = async (app: readonly string[], profile: string, button: string): Promise<number> =>
    await untilUsable([program, ...flags, ...probe, `--user-data-dir=${join(scratch.dir, profile)}`, ...app], {
      ...scratch.env,
      DISPLAY: screen.display,
      LAGO_PROBE_BUTTON: button,
    });
  try {
    const { ratio, ours, reference } = await alternate(
      9,
      async () => await start([join(root, 'bench/reference/empty-window')], 'empty', 'Empty window'),
      async () => await start([root, `--workdir=${join(scratch.dir, 'environments')}`], 'ours', 'Open a file'),
    );
    return { ratio, usable_ms: Math.round(ours), empty_ms: Math.round(reference) };
  } finally {
    screen.close();
  }
}
