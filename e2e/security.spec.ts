import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { chromium, expect, type Page, test } from '@playwright/test';
import { commandOf, expectNothingLeft } from './support/leaks.ts';
import { askMain, doInMain } from './support/main-process.ts';
import { useScratch } from './support/prologue.ts';
import { root, type Scratch } from './support/scratch.ts';
import { openDesktop } from './support/window.ts';

const NOBODY = 65534;
let scratch: Scratch;

useScratch((made) => {
  scratch = made;
});

test('the preload script requires nothing but electron', () => {
  const code = readFileSync(join(root, 'out/preload/index.cjs'), 'utf8');
  const required = [...code.matchAll(/\b(?:require|import)\s*\(\s*([^)]*)\)/g)].map((match) => match[1]);
  expect(required).toEqual(['"electron"']);
  expect(code).not.toMatch(/^\s*import\s/m);
});

test('the page has the bridge and nothing else from outside', async () => {
  const { page } = await openDesktop(scratch);
  expect(await page.evaluate(() => location.origin)).toBe('app://lago');
  expect(await page.evaluate(() => [typeof globalThis.require, typeof globalThis.process, typeof globalThis.Buffer])).toEqual([
    'undefined',
    'undefined',
    'undefined',
  ]);
  const bridge = await page.evaluate(() => {
    const { bridge: door } = window as unknown as { bridge: Record<string, unknown> };
    return { frozen: Object.isFrozen(door), parts: Object.entries(door).map(([name, part]) => `${typeof part} ${name}`) };
  });
  expect(bridge).toEqual({ frozen: true, parts: ['function connect', 'function attach', 'function pathOf', 'function choosePath'] });
});

test('the page gets only paths that the user has chosen in the system’s dialog', async () => {
  const { app, page } = await openDesktop(scratch);
  await doInMain(app, ({ dialog }) => {
    dialog.showOpenDialog = async () => await Promise.resolve({ canceled: false, filePaths: ['/chosen/file'] });
    dialog.showSaveDialog = async () => await Promise.resolve({ canceled: false, filePath: '/chosen/name' });
  });
  const choose = async (request: unknown): Promise<unknown> =>
    await page.evaluate(async (wanted) => {
      const { bridge } = window as unknown as { bridge: { choosePath(request: unknown): Promise<unknown> } };
      return await bridge.choosePath(wanted);
    }, request);
  expect(await choose({ what: 'file' })).toBe('/chosen/file');
  expect(await choose({ what: 'save', name: 'a b' })).toBe('/chosen/name');
  for (const bad of [null, 'file', {}, { what: 'anything' }, { what: 'save' }, { what: 'save', name: '../../.bashrc' }]) {
    expect(await choose(bad)).toBeNull();
  }
});

/** Runs `attempt` in the page and waits for the page's policy to report a violation of `directive`. */
async function expectViolation(page: Page, attempt: string, directive: string): Promise<void> {
  await page.evaluate(
    ([code, expected]) =>
      new Promise<void>((resolve) => {
        // Ignore violations by libraries that probe for eval.
        document.addEventListener('securitypolicyviolation', (event) => {
          if (event.effectiveDirective === expected) resolve();
        });
        if (code === 'script') {
          const script = document.createElement('script');
          script.textContent = 'document.title = "ran"';
          document.body.append(script);
        } else if (code === 'fetch') void fetch('https://127.0.0.1:1/').catch(() => undefined);
        else if (code === 'socket') new WebSocket('ws://127.0.0.1:1/');
        else if (code === 'image') new Image().src = 'https://127.0.0.1:1/x.png';
        else if (code === 'frame') {
          const frame = document.createElement('iframe');
          frame.src = 'https://127.0.0.1:1/';
          document.body.append(frame);
        } else {
          const base = document.createElement('base');
          base.href = 'https://127.0.0.1:1/';
          document.head.append(base);
        }
      }),
    [attempt, directive],
  );
}

test('the content policy blocks inline script, network and frames', async () => {
  const { page } = await openDesktop(scratch);
  const directives = {
    script: 'script-src-elem',
    fetch: 'connect-src',
    socket: 'connect-src',
    image: 'img-src',
    frame: 'frame-src',
    base: 'base-uri',
  };
  for (const [attempt, directive] of Object.entries(directives)) await expectViolation(page, attempt, directive);
  expect(await page.title()).not.toBe('ran');
});

test('the page cannot leave, open windows, get permissions or read files', async () => {
  const { app, page } = await openDesktop(scratch);
  const address = page.url();
  await page.evaluate(() => {
    location.href = 'https://127.0.0.1:1/';
  });
  expect(await page.evaluate(() => window.open('http://127.0.0.1:1/') === null)).toBe(true);
  expect(await askMain(app, ({ BrowserWindow }) => BrowserWindow.getAllWindows().length)).toBe(1);
  expect(page.url()).toBe(address);
  expect(await page.evaluate(async () => await Notification.requestPermission())).toBe('denied');
  expect(await page.evaluate(async () => (await navigator.permissions.query({ name: 'geolocation' })).state)).toBe('denied');
  const outside = await app.evaluate(async ({ net }) => {
    const ask = async (url: string): Promise<number> => (await net.fetch(url)).status;
    return [
      await ask('app://lago/..%2f..%2fpackage.json'),
      await ask('app://lago/%2e%2e/main/index.js'),
      await ask('app://other/index.html'),
    ];
  });
  expect(outside).toEqual([404, 404, 404]);
});

test('messages from other windows and from sub-frames are dropped', async () => {
  const { app, page, stderr } = await openDesktop(scratch);
  await app.evaluate(
    async ({ BrowserWindow }, preload) => {
      const foreign = new BrowserWindow({ show: false, webPreferences: { preload, sandbox: true, nodeIntegrationInSubFrames: true } });
      await foreign.loadURL('data:text/html,<body>foreign<iframe srcdoc="inner"></iframe></body>');
      await foreign.webContents.executeJavaScript('window.answers = []; onmessage = (event) => answers.push(event.data); bridge.connect()');
      for (const frame of foreign.webContents.mainFrame.frames) await frame.executeJavaScript('window.bridge.attach("x"); 1');
    },
    join(root, 'out/preload/index.cjs'),
  );
  await expect.poll(() => stderr().match(/Dropped a message from/g)?.length ?? 0).toBe(2);
  const answers = await app.evaluate(async ({ BrowserWindow }) => {
    const foreign = BrowserWindow.getAllWindows().find((window) => window.webContents.getURL().startsWith('data:'));
    const got: unknown = await foreign?.webContents.executeJavaScript('answers');
    foreign?.destroy();
    return got;
  });
  expect(answers).toEqual([]);

  // The same from a frame inside our own page, once the page has its port.
  await expect(page.getByRole('button', { name: 'Try the two-VM sample' })).toBeEnabled();
  await page.evaluate(() => {
    const all: unknown[] = [];
    Object.assign(window, { answers: all });
    window.addEventListener('message', (event) => all.push(event.data));
  });
  await doInMain(app, ({ BrowserWindow, ipcMain }) => {
    const sender = BrowserWindow.getAllWindows()[0]?.webContents;
    const senderFrame = { url: 'app://lago/index.html', parent: {} };
    ipcMain.emit('lago:connect', { sender, senderFrame });
    ipcMain.emit('lago:attach', { sender, senderFrame }, 'x');
    ipcMain.emit('lago:connect', { sender, senderFrame: null });
  });
  await expect.poll(() => stderr().match(/Dropped a message from/g)?.length ?? 0).toBe(5);
  expect(await page.evaluate(() => (window as unknown as { answers: unknown[] }).answers)).toEqual([]);
});

test('a page that crashes is loaded again', async () => {
  const { app } = await openDesktop(scratch);
  const before = await askMain(app, ({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.webContents.getOSProcessId());
  await doInMain(app, ({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.webContents.forcefullyCrashRenderer());
  const alive = async (): Promise<string> =>
    await app.evaluate(async ({ BrowserWindow }, old) => {
      const contents = BrowserWindow.getAllWindows()[0]?.webContents;
      if (contents === undefined || contents.isCrashed() || contents.isLoading() || contents.getOSProcessId() === old) return '';
      return String(await contents.executeJavaScript('typeof bridge + " " + document.getElementById("root").childElementCount'));
    }, before);
  await expect.poll(alive).toMatch(/^object [1-9]/);
});

test('a second start passes its file to the first window and exits', async () => {
  const { app, page } = await openDesktop(scratch);
  await page.evaluate(() => {
    const all: unknown[] = [];
    Object.assign(window, { answers: all });
    window.addEventListener('message', (event) => all.push(event.data));
  });
  const file = scratch.write('second.json', '{"domains": {}, "nets": {}}');
  const executable = await askMain(app, () => process.execPath);
  execFileSync(
    executable,
    [...(process.getuid?.() === 0 ? ['--no-sandbox'] : []), `--user-data-dir=${join(scratch.dir, 'profile')}`, root, file],
    {
      env: scratch.env,
      stdio: 'ignore',
      timeout: 30_000,
    },
  );
  await expect
    .poll(async () => await page.evaluate(() => (window as unknown as { answers: unknown[] }).answers))
    .toContainEqual({ lago: 'open', path: file });
  expect(await askMain(app, ({ BrowserWindow }) => BrowserWindow.getAllWindows().length)).toBe(1);
});

test('an uncaught error of the main process is logged and ends it with 1', async () => {
  const { app } = await openDesktop(scratch);
  const main = app.process();
  const ended = new Promise<number | null>((resolve) => main.once('exit', resolve));
  const logs = await askMain(app, ({ app: electron }) => electron.getPath('logs'));
  await doInMain(app, () => {
    setTimeout(() => {
      throw new Error('thrown by the test');
    });
  });
  expect(await ended).toBe(1);
  expect(readFileSync(join(logs, 'desktop.log'), 'utf8')).toMatch(/error Error: thrown by the test\n\s+at /);
});

/** The DevTools address that a program with --remote-debugging-port=0 prints. */
async function debuggingAddress(child: ChildProcess): Promise<string> {
  return await new Promise((resolve, reject) => {
    let text = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      const found = /DevTools listening on (ws:\S+)/.exec(text);
      if (found?.[1] !== undefined) resolve(found[1]);
    });
    child.on('exit', (code) => reject(new Error(`Electron ended with ${code}: ${text}`)));
    child.on('error', reject);
  });
}

function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((candidate) => Number.isInteger(candidate))
    .filter((candidate) => {
      try {
        return new RegExp(`^PPid:\\t${pid}$`, 'm').test(readFileSync(`/proc/${candidate}/status`, 'utf8'));
      } catch {
        return false; // the process has ended
      }
    });
}

function descendantsOf(pid: number): number[] {
  return childrenOf(pid).flatMap((child) => [child, ...descendantsOf(child)]);
}

test("an ordinary user's window runs in Chromium's own sandbox", async () => {
  // Copies that every user can read, since the checkout may be private to its owner.
  const copy = join(scratch.dir, 'copy');
  mkdirSync(copy);
  for (const name of ['out', 'package.json', 'resources']) cpSync(join(root, name), join(copy, name), { recursive: true });
  const dist = join(copy, 'electron');
  cpSync(process.env['ELECTRON_OVERRIDE_DIST_PATH'] ?? join(root, '.electron-dist'), dist, { recursive: true });
  const env = { ...scratch.env };
  if (env['XAUTHORITY'] !== undefined) {
    cpSync(env['XAUTHORITY'], join(copy, 'xauthority'));
    env['XAUTHORITY'] = join(copy, 'xauthority');
  }
  const asRoot = process.getuid?.() === 0;
  if (asRoot) execFileSync('chown', ['-R', `${NOBODY}:${NOBODY}`, scratch.dir]);
  chmodSync(scratch.dir, 0o755);
  const command = [
    ...(asRoot ? ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'] : []),
    join(dist, 'electron'),
    `--user-data-dir=${join(scratch.dir, 'profile')}`,
    '--remote-debugging-port=0',
    copy,
    `--workdir=${scratch.workdir}`,
  ];
  const child = spawn(command[0] ?? '', command.slice(1), { env, stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  try {
    const browser = await chromium.connectOverCDP(await debuggingAddress(child));
    await expect.poll(() => browser.contexts()[0]?.pages()[0]?.url()).toBe('app://lago/index.html');
    const page = browser.contexts()[0]?.pages()[0];
    await expect.poll(async () => await page?.evaluate(() => document.getElementById('root')?.childElementCount ?? 0)).toBeGreaterThan(0);
    const renderers = descendantsOf(child.pid ?? 0).filter((pid) => commandOf(pid).includes('--type=renderer'));
    expect(renderers.length).toBeGreaterThan(0);
    for (const pid of renderers) {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      expect(status).toMatch(/^Seccomp:\t2$/m);
      expect(status).toMatch(/^NoNewPrivs:\t1$/m);
      expect(status).toMatch(/^CapEff:\t0000000000000000$/m);
    }
    await browser.close();
  } finally {
    child.kill('SIGTERM');
    await ended;
  }
  await expectNothingLeft(scratch, new Set());
});
