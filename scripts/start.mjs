// npm start [-- FILE]: sets up what is missing and opens the window, with FILE's plan if one is given. Without a screen it creates and
// starts the environment of FILE, or of the sample, and takes a picture of the window, to show that everything works.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { electronArgv } from './electron-runtime.mjs';
import { hasDisplay, setUp } from './setup.mjs';
import { root, StepError, script } from './steps.mjs';

/** Runs the window in the foreground; Ctrl+C in the terminal goes to it. */
async function openWindow(dist, file) {
  const [program, ...flags] = electronArgv(dist);
  if (!process.env['DISPLAY']) flags.push('--ozone-platform=wayland');
  const child = spawn(program, [...flags, root, ...(file === undefined ? [] : [file])], {
    cwd: root,
    env: withoutNodeMode(),
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  process.on('SIGINT', () => undefined); // the window gets it too, and shuts down properly
  return await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve(code ?? 1));
  });
}

function read(file) {
  return fs.existsSync(file) ? fs.readFileSync(file, 'utf8').trim() : undefined;
}

/** Chromium's sandbox needs user namespaces or its setuid helper; without either the window would abort at once. */
function checkSandbox(dist) {
  if (process.getuid?.() === 0) return;
  const helper = path.join(dist, 'chrome-sandbox');
  const stat = fs.statSync(helper, { throwIfNoEntry: false });
  if (stat !== undefined && stat.uid === 0 && (stat.mode & 0o4000) !== 0) return;
  const restricted =
    read('/proc/sys/kernel/apparmor_restrict_unprivileged_userns') === '1' || read('/proc/sys/kernel/unprivileged_userns_clone') === '0';
  if (!restricted) return;
  throw new StepError(
    "This system does not let ordinary users make the namespaces that the window's sandbox is made of.",
    `Give Chromium's own helper the right, then start again:\n  sudo chown root ${helper} && sudo chmod 4755 ${helper}`,
  );
}

function withoutNodeMode() {
  const { ELECTRON_RUN_AS_NODE: _node, ...env } = process.env;
  return env;
}

await script(async () => {
  const argument = process.argv[2];
  const file = argument === undefined ? undefined : path.resolve(process.env['INIT_CWD'] ?? process.cwd(), argument);
  if (file !== undefined && !fs.existsSync(file))
    throw new StepError(`There is no file ${file}.`, 'Give the path of an init file: npm start -- FILE');
  const display = hasDisplay();
  const { dist } = await setUp({ display });
  checkSandbox(dist);
  if (display) {
    console.log('Opening the window.');
    return await openWindow(dist, file);
  }
  console.log('No screen here (neither DISPLAY nor WAYLAND_DISPLAY): showing the window on a virtual one.');
  const { showcase } = await import('./showcase.mjs');
  await showcase({ dist, file });
  return 0;
});
