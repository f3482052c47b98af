import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { _electron, type ElectronApplication } from '@playwright/test';
import { electronArgv, ensureRuntime } from '../scripts/electron-runtime.mjs';
import { openVirtualScreen } from '../scripts/virtual-screen.mjs';
import { makeScratch, root, runTimed, say } from './support/measure.ts';

/** Processor time of the window while its environment is idle. */
export const title = 'processor time of all processes of an idle window with one running environment, beside an empty Electron window';
export const goal = 'percent <= 1';

/** During a VM's first minute the window updates every second. */
const SETTLE_MS = 70_000;
const MEASURE_MS = 60_000;
const TICKS_PER_S = 100;

const INIT = {
  nets: { net: { type: 'nat', management: true, dhcp: { start: 100, end: 254 } } },
  domains: {
    vm0: {
      memory: 192,
      vcpu: 1,
      nics: [{ net: 'net' }],
      disks: [{ template_name: 'lago-sample', type: 'template', name: 'root', dev: 'vda', format: 'qcow2' }],
    },
  },
};

interface Usage {
  readonly command: string;
  readonly seconds: number;
}

/** Kind, parent and processor time of a process; undefined once it is gone. */
function readProcess(pid: number): { readonly parent: number; readonly usage: Usage } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name may contain any character; the fields after it cannot contain a bracket.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    const command = /--type=([a-z-]+)/.exec(line)?.[1] ?? 'main';
    return { parent: Number(fields[1]), usage: { command, seconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S } };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return undefined;
    throw error;
  }
}

/** Processor time so far of a process and all its descendants, by pid. */
function usageBelow(top: number): ReadonlyMap<number, Usage> {
  const all = new Map(
    readdirSync('/proc').flatMap((name) => {
      const found = /^\d+$/.test(name) ? readProcess(Number(name)) : undefined;
      return found === undefined ? [] : [[Number(name), found] as const];
    }),
  );
  const below = (pid: number): boolean => pid === top || (all.has(pid) && below(all.get(pid)?.parent ?? 0));
  return new Map([...all].filter(([pid]) => pid > 1 && below(pid)).map(([pid, { usage }]) => [pid, usage]));
}

/** Percent of one processor, in total and by kind of process. */
function percentOf(before: ReadonlyMap<number, Usage>, after: ReadonlyMap<number, Usage>, ms: number): Readonly<Record<string, number>> {
  const kinds: Record<string, number> = { all: 0 };
  for (const [pid, { command, seconds }] of after) {
    const percent = ((seconds - (before.get(pid)?.seconds ?? 0)) / (ms / 1_000)) * 100;
    kinds['all'] = (kinds['all'] ?? 0) + percent;
    kinds[command] = (kinds[command] ?? 0) + percent;
  }
  return kinds;
}

async function sleep(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

export async function run(): Promise<Record<string, number>> {
  const cli = join(root, 'out/cli/lago.cjs');
  const templates = join(root, '.cache/templates');
  if (!existsSync(cli) || !existsSync(join(root, 'out/main/index.js'))) throw new Error('out/ is not complete: npm run build makes it.');
  if (!existsSync(join(templates, 'repo.json'))) throw new Error('The sample guest is missing: npm run guest makes it.');
  const { dist } = await ensureRuntime();
  const screen = await openVirtualScreen();
  using scratch = makeScratch();
  const { env, dir: cwd } = scratch;
  const [program = '', ...flags] = electronArgv(dist) as string[];
  const windows: ElectronApplication[] = [];
  const lago = async (...args: string[]): Promise<void> => {
    await runTimed({ argv: [process.execPath, cli, ...args], env, cwd });
  };
  async function open(name: string, app: readonly string[]): Promise<ElectronApplication> {
    const window = await _electron.launch({
      executablePath: program,
      args: [...flags, `--user-data-dir=${join(cwd, name)}`, ...app],
      env: { ...(process.env as Record<string, string>), ...env, DISPLAY: screen.display },
      chromiumSandbox: process.getuid?.() !== 0,
    });
    windows.push(window);
    return window;
  }
  copyTemplates(templates, join(cwd, 'templates'));
  writeFileSync(join(cwd, 'LagoInitFile'), JSON.stringify(INIT));
  try {
    await lago('init', '--template-repo-path', join(cwd, 'templates/repo.json'));
    const empty = await open('empty', [join(root, 'bench/reference/empty-window')]);
    const ours = await open('ours', [root, `--workdir=${join(cwd, 'environments')}`]);
    const page = await ours.firstWindow();
    await page.getByRole('table', { name: 'Environments' }).getByRole('row').nth(1).getByRole('cell').first().click();
    await page.getByRole('button', { name: 'Start', exact: true }).click();
    await page.getByRole('table', { name: 'VMs' }).getByRole('row', { name: 'vm0' }).getByText('ready').waitFor({ timeout: 120_000 });
    say(`  waiting ${SETTLE_MS / 1_000} s for rest, then measuring for ${MEASURE_MS / 1_000} s`);
    await sleep(SETTLE_MS);
    const pids = [ours, empty].map((window) => window.process().pid ?? 0);
    const began = performance.now();
    const before = pids.map(usageBelow);
    await sleep(MEASURE_MS);
    const after = pids.map(usageBelow);
    const ms = performance.now() - began;
    const [our = {}, reference = {}] = pids.map((_, index) => percentOf(before[index] ?? new Map(), after[index] ?? new Map(), ms));
    for (const [kind, percent] of Object.entries(our)) say(`  ours, ${kind}: ${percent.toFixed(2)} %`);
    return {
      percent: our['all'] ?? Number.NaN,
      renderer_percent: our['renderer'] ?? Number.NaN,
      main_percent: our['main'] ?? Number.NaN,
      empty_percent: reference['all'] ?? Number.NaN,
    };
  } finally {
    // First, because "close" waits for the end of the window's output, which the environment's processes keep open.
    await lago('destroy', '-y', '--all-prefixes');
    for (const window of windows) await window.close();
    screen.close();
  }
}

/** Copied, because a new build of the guest would remove the image below the overlays. */
function copyTemplates(from: string, to: string): void {
  mkdirSync(to);
  for (const name of readdirSync(from)) copyFileSync(join(from, name), join(to, name));
}
