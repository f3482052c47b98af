// What `npm start` does on a machine without a screen: creates and starts an environment, and takes a picture of the window.
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { _electron } from '@playwright/test';
import { note, root, StepError, step } from './steps.mjs';
import { openVirtualScreen } from './virtual-screen.mjs';

const WORKDIR = path.join(root, '.lago');
const STATE = path.join(root, '.cache', 'start');
const LAGO = path.join(root, 'out/cli/lago.cjs');
const PLACE = ['--host', 'embedded', '--uplink', 'none'];

/** The sample to show: the first one in the list. */
function firstSample() {
  const folder = path.join(root, 'resources/samples');
  const [sample] = JSON.parse(fs.readFileSync(path.join(folder, 'samples.json'), 'utf8'));
  return { name: sample.name, file: path.join(folder, sample.path) };
}

const LOG_HINT = `Its log: ${path.join(STATE, 'profile/logs/desktop.log')}`;

function firstLine(error) {
  return String(error).split('\n')[0];
}

function lagoOutput(...args) {
  return spawnSync(process.execPath, [LAGO, ...args], { cwd: root, encoding: 'utf8' });
}

/** Runs the command line with its progress on the terminal, indented like a step's notes. */
async function lago(args, what) {
  let last = '';
  const code = await new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [LAGO, ...args], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    let rest = '';
    const show = (/** @type {Buffer} */ chunk) => {
      const lines = (rest + chunk.toString()).split(/\r?\n|\r/);
      rest = lines.pop() ?? '';
      for (const line of lines.filter((text) => text.trim() !== '')) {
        note(line);
        last = line;
      }
    };
    child.stdout.on('data', show);
    child.stderr.on('data', show);
    child.on('error', reject);
    child.on('close', resolve);
  });
  if (code !== 0)
    throw new StepError(`${what} failed: ${last.trim()}`, `The whole log is in ${path.join(WORKDIR, 'current/logs/lago.log')}.`);
}

function vmsOf(status) {
  return Object.entries(status?.Prefix?.VMs ?? {});
}

/** The status of the environment of that name in ./.lago as `lago --out-format json status` prints it; undefined when there is none. */
function presentStatus(name) {
  if (!fs.existsSync(path.join(WORKDIR, name))) return undefined;
  const answer = lagoOutput('--prefix-name', name, '--out-format', 'json', 'status');
  return answer.status === 0 ? JSON.parse(answer.stdout) : undefined;
}

/**
 * @param {{ dist: string, file: string | undefined }} options `file`: init file to show instead of the sample
 */
export async function showcase({ dist, file }) {
  const shown = file === undefined ? firstSample() : { name: path.parse(file).name.replace(/[^A-Za-z0-9-]+/g, '-'), file };
  fs.mkdirSync(STATE, { recursive: true });
  const screen = await openVirtualScreen();
  const { ELECTRON_RUN_AS_NODE: _node, ...env } = process.env;
  process.env['ELECTRON_OVERRIDE_DIST_PATH'] = dist;
  let app;
  try {
    let page;
    await step('Window', async () => {
      try {
        app = await _electron.launch({
          args: [`--user-data-dir=${path.join(STATE, 'profile')}`, root, `--workdir=${WORKDIR}`],
          env: { ...env, DISPLAY: screen.display, DBUS_SESSION_BUS_ADDRESS: 'disabled:', DBUS_SYSTEM_BUS_ADDRESS: 'disabled:' },
          chromiumSandbox: process.getuid?.() !== 0,
          timeout: 60_000,
        });
        page = await app.firstWindow();
        await page.getByRole('button', { name: 'Open a file', exact: true }).waitFor();
      } catch (error) {
        throw new StepError(`The window did not open: ${firstLine(error)}`, LOG_HINT);
      }
      return `on the virtual screen ${screen.display}`;
    });
    await step('Environment', async () => {
      const present = presentStatus(shown.name);
      if (present === undefined)
        await lago([...PLACE, '--prefix-name', shown.name, 'init', '--set-current', WORKDIR, shown.file], 'Creating the environment');
      else await lago(['set-current', shown.name], 'Choosing the environment');
      if (present !== undefined && vmsOf(present).every(([, vm]) => vm.status === 'running')) return 'is up already';
      await lago([...PLACE, 'start'], 'Starting the environment');
      return present === undefined ? 'created and started' : 'started';
    });
    const status = presentStatus(shown.name);
    const vms = vmsOf(status).map(([name]) => name);
    if (vms.length === 0) throw new StepError('The environment shows no VMs.', 'Look at the output of: npx lago status');
    for (const vm of vms) {
      await step(`ssh to ${vm}`, async () => {
        const answer = lagoOutput('shell', vm, '-c', 'uname -sr');
        if (answer.status !== 0)
          throw new StepError(`${vm} does not answer: ${answer.stderr.trim()}`, `Watch it boot: npx lago console ${vm}`);
        return `answers, ${answer.stdout.trim()}`;
      });
    }
    const picture = path.join(STATE, 'window.png');
    await step('Picture of the window', async () => {
      await showEnvironment(page, path.basename(status.Prefix['Base directory']), vms);
      await page.screenshot({ path: picture });
      return picture;
    });
    console.log(`\n${lagoOutput('status').stdout.trimEnd()}\n`);
    console.log(`Picture: ${picture}`);
    console.log(
      `The environment goes on running. Next, in this folder:\n  npx lago shell ${vms[0]}\n  npx lago deploy    (runs the deploy scripts that an init file lists)\n  npx lago collect   (brings the files that it lists as artifacts)\n  npx lago status\n  npx lago destroy`,
    );
  } finally {
    await app?.close();
    screen.close();
  }
}

/** Brings the environment's page to the front and waits until it shows every VM as running and answering ssh. */
async function showEnvironment(page, name, vms) {
  const tab = page.getByRole('tablist', { name: 'Open environments' }).getByRole('tab', { name });
  const row = page.getByRole('table', { name: 'Environments' }).getByRole('row', { name, exact: true });
  try {
    await tab.or(row).first().click();
    for (const vm of vms) {
      const state = page.getByRole('table', { name: 'VMs' }).getByRole('row', { name: vm, exact: true });
      await state.filter({ hasText: 'running' }).filter({ hasText: 'ready' }).waitFor({ timeout: 60_000 });
    }
  } catch (error) {
    throw new StepError(`The window does not show ${name}: ${firstLine(error)}`, LOG_HINT);
  }
}
