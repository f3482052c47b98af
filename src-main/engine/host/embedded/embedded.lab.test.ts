import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import type { Duplex } from 'node:stream';
import { build } from 'esbuild';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { silentLog } from '../../core/log.ts';
import { isRunning, kill, parseIdentity, startTimeOf } from '../../core/process-identity.ts';
import { run, runChecked } from '../../core/run.ts';
import { sleep, until } from '../../core/until.ts';
import type { EmbeddedHost, EmbeddedHostSpec } from '../host.ts';
import { endEmbeddedHost, findEmbeddedHost, startEmbeddedHost } from './embedded.ts';
import type { DriverAnswer, DriverCommand, DriverSetup } from './lab-driver.test-support.ts';
import { cleanLeftovers, findLeftovers } from './leftovers.ts';
import { unexpectedEnd } from './unexpected-end.ts';

/** A uid that does not exist on the machine. */
const USER = 61_234;
const repository = resolve(import.meta.dirname, '../../../..');
const environment = { ...process.env };
let folder = '';
let resourcesDir = '';
let driverPath = '';
const opened: (() => Promise<void> | void)[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lago host '));
  chmodSync(folder, 0o755);
  // Files that the ordinary user must be able to read.
  resourcesDir = join(folder, 'resources');
  cpSync(join(repository, 'resources/host'), join(resourcesDir, 'host'), { recursive: true });
  driverPath = join(folder, 'driver.mjs');
  await build({
    entryPoints: [join(import.meta.dirname, 'lab-driver.test-support.ts')],
    outfile: driverPath,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
  });
  Object.assign(process.env, { LAGO_CONFINED: '1', XDG_CACHE_HOME: join(folder, 'cache') });
});

afterEach(async () => {
  for (const close of opened.splice(0).toReversed()) await close();
});

afterAll(() => {
  process.env = environment;
  rmSync(folder, { recursive: true, force: true });
  rmSync(`/tmp/lago-${USER}`, { recursive: true, force: true });
});

function newSpec(base = folder): EmbeddedHostSpec {
  const id = randomBytes(16).toString('hex');
  return { id, stateDir: join(base, id.slice(0, 6), 'host'), uplink: 'none', accelerator: 'tcg' };
}

async function start(spec: EmbeddedHostSpec): Promise<EmbeddedHost> {
  const host = await startEmbeddedHost(spec, { resourcesDir, log: silentLog });
  opened.push(() => host.stop());
  return host;
}

const find = (spec: EmbeddedHostSpec): Promise<EmbeddedHost | undefined> => findEmbeddedHost(spec, { resourcesDir, log: silentLog });

async function virsh(uri: string, ...argv: string[]): Promise<string> {
  const result = await runChecked(['virsh', '-q', '-c', uri, ...argv], 'virsh failed.');
  return result.stdout.trim();
}

function networkXml(name: string): string {
  return `<network xmlns:dnsmasq='http://libvirt.org/schemas/network/dnsmasq/1.0'>
    <name>${name}</name><forward mode='nat'/><bridge name='lagobr0' stp='off' delay='0'/>
    <ip address='192.168.200.1' netmask='255.255.255.0'><dhcp><range start='192.168.200.100' end='192.168.200.254'/></dhcp></ip>
    <dnsmasq:options><dnsmasq:option value='user=root'/><dnsmasq:option value='group='/></dnsmasq:options></network>`;
}

/** A VM without a disk: it runs only its firmware, and has a network card and a screen. */
function domainXml(socketDir: string): string {
  return `<domain type='qemu'><name>vm0</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>
    <os><type arch='x86_64' machine='pc'>hvm</type></os><features><acpi/></features>
    <devices><interface type='network'><source network='lan'/><model type='virtio'/><rom enabled='no'/></interface>
    <controller type='usb' model='none'/><serial type='pty'/><graphics type='vnc' socket='${socketDir}/vm0.sock'/>
    <video><model type='vga'/></video><memballoon model='none'/></devices></domain>`;
}

/** The first bytes that a VM's screen sends. */
async function screenGreeting(path: string): Promise<string> {
  const socket = connect(path);
  const [bytes] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  return bytes.toString('latin1');
}

async function startNetwork(uri: string, stateDir: string): Promise<void> {
  const path = join(stateDir, 'test-network.xml');
  writeFileSync(path, networkXml('lan'));
  await virsh(uri, 'net-define', path);
  await virsh(uri, 'net-start', 'lan');
}

/** Greets every connection inside, then hangs up. */
function greet(host: EmbeddedHost, address: string, port: number): void {
  const stop = new AbortController();
  const program = `require('net').createServer((c) => c.end('hello')).listen(${port}, '${address}')`;
  const done = host.run([process.execPath, '-e', program], { signal: stop.signal });
  const settled = done.catch(() => undefined);
  opened.push(async () => {
    stop.abort();
    await settled;
  });
}

async function readAll(stream: Duplex): Promise<string> {
  let text = '';
  for await (const chunk of stream) text += String(chunk);
  return text;
}

/** Dials until the listener is up. */
async function dialUntil(host: EmbeddedHost, address: string, port: number): Promise<Duplex> {
  return await until(
    async () => {
      try {
        return await host.dial(address, port, { timeoutMs: 1000 });
      } catch (error) {
        if ((error as { code?: string }).code === 'guest.unreachable') return undefined;
        throw error;
      }
    },
    { everyMs: 20, timeoutMs: 10_000, failure: () => new Error('nothing listens') as never },
  );
}

/** Every process in the tree below `pid`, itself included, as pid and start time. */
function processTree(pid: number): { pid: number; startTime: string }[] {
  const parents = new Map<number, number>();
  for (const entry of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'utf8');
      parents.set(Number(entry), Number(stat.slice(stat.lastIndexOf(') ') + 2).split(' ')[1]));
    } catch (error) {
      if (!['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
  }
  const tree = [pid];
  for (const parent of tree) for (const [child, its] of parents) if (its === parent) tree.push(child);
  return tree.map((each) => ({ pid: each, startTime: startTimeOf(each) ?? '' }));
}

/** Ends a host left behind by a failed test. */
function killCell(spec: EmbeddedHostSpec): void {
  const path = join(spec.stateDir, 'cell');
  if (!existsSync(path)) return;
  const identity = parseIdentity(readFileSync(path, 'utf8'));
  if (identity !== undefined) kill(identity);
}

const stillAlive = (tree: { pid: number; startTime: string }[]): number[] =>
  tree.filter(({ pid, startTime }) => startTimeOf(pid) === startTime).map(({ pid }) => pid);

const machineState = async (): Promise<unknown> => ({
  mounts: readFileSync('/proc/self/mountinfo', 'utf8').split('\n').length,
  links: (await runChecked(['ip', '-o', 'link'], 'ip failed.')).stdout.split('\n').length,
  rules: (await run(['iptables-save'])).stdout,
});

/** Command line of a process; empty when it has ended. */
function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return '';
    throw error;
  }
}

class Driver {
  readonly child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #reader: Interface;
  constructor(setup: DriverSetup, prefix: readonly string[] = [], env: Record<string, string> = {}) {
    const argv = [...prefix, process.execPath, driverPath, JSON.stringify(setup)];
    this.child = spawn(argv[0] ?? '', argv.slice(1), { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, ...env } });
    this.#reader = createInterface({ input: this.child.stdout as NodeJS.ReadableStream });
    this.#lines = this.#reader[Symbol.asyncIterator]();
    opened.push(async () => {
      await this.end();
      killCell(setup.spec);
    });
  }
  send(command: DriverCommand): void {
    this.child.stdin?.write(`${JSON.stringify(command)}\n`);
  }
  async call(command: DriverCommand): Promise<DriverAnswer & { ok: true }> {
    this.send(command);
    const { value } = (await this.#lines.next()) as { value: string };
    const answer = JSON.parse(value) as DriverAnswer;
    if (!answer.ok) throw new Error(`${answer.error.code}: ${answer.error.message} ${JSON.stringify(answer.error.details)}`);
    return answer;
  }
  async end(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const exited = once(this.child, 'exit');
    this.child.kill(signal);
    await exited;
  }
}

describe('life of a host', () => {
  test('starts, is found, is attached to, and stops without a trace', async () => {
    const before = await machineState();
    const spec = newSpec();
    expect(await find(spec)).toBeUndefined();
    const host = await start(spec);
    expect(host).toMatchObject({ kind: 'embedded', accelerator: 'tcg', uplink: 'none', dnsmasqAsRoot: true });
    expect(await virsh(host.uri, 'uri')).toBe(host.uri);
    expect((await find(spec))?.pid).toBe(host.pid);
    expect((await start(spec)).pid).toBe(host.pid);
    await startNetwork(host.uri, spec.stateDir);

    const tree = processTree(host.pid);
    expect(tree.length).toBeGreaterThan(5);
    const runtimeDir = resolve(host.socketDir, '..');
    await host.stop();
    expect(stillAlive(tree)).toEqual([]);
    expect(existsSync(runtimeDir)).toBe(false);
    expect(existsSync(join(spec.stateDir, 'cell'))).toBe(false);
    expect(await find(spec)).toBeUndefined();
    expect(await machineState()).toEqual(before);
    await host.stop();
  });

  test('keeps running when the process that started it is killed', async () => {
    const spec = newSpec();
    const driver = new Driver({ spec, resourcesDir });
    const { pid } = await driver.call({ op: 'start' });
    await driver.end('SIGKILL');
    const host = await find(spec);
    if (host === undefined) throw new Error('the host is gone');
    opened.push(() => host.stop());
    expect(host.pid).toBe(pid);
    expect(await virsh(host.uri, 'uri')).toBe(host.uri);
    expect((await start(spec)).pid).toBe(pid);
  });

  test('is attached to after its starter was killed during the start', async () => {
    const spec = newSpec();
    const driver = new Driver({ spec, resourcesDir });
    driver.send({ op: 'start' });
    await until(async () => existsSync(join(spec.stateDir, 'cell')) || undefined, {
      everyMs: 1,
      timeoutMs: 10_000,
      failure: () => new Error('no cell') as never,
    });
    await driver.end('SIGKILL');
    const pid = Number(readFileSync(join(spec.stateDir, 'cell'), 'utf8').split(' ')[0]);
    const host = await start(spec);
    expect(host.pid).toBe(pid);
    expect(await virsh(host.uri, 'uri')).toBe(host.uri);
    const tree = processTree(pid);
    await host.stop();
    expect(stillAlive(tree)).toEqual([]);
  });

  test('exists once, however many start it at once', async () => {
    const spec = newSpec();
    const drivers = [new Driver({ spec, resourcesDir }), new Driver({ spec, resourcesDir })];
    const [own, ...others] = await Promise.all([start(spec), ...drivers.map((driver) => driver.call({ op: 'start' }))]);
    expect(others.map(({ pid }) => pid)).toEqual([own?.pid, own?.pid]);
  });

  test('a cancelled start leaves nothing', async () => {
    const spec = newSpec();
    const stop = new AbortController();
    const starting = startEmbeddedHost(spec, { resourcesDir, log: silentLog, signal: stop.signal });
    await until(async () => existsSync(join(spec.stateDir, 'cell')) || undefined, {
      everyMs: 1,
      timeoutMs: 10_000,
      failure: () => new Error('no cell') as never,
    });
    const [pid, startTime = ''] = readFileSync(join(spec.stateDir, 'cell'), 'utf8').split(' ');
    stop.abort();
    await expect(starting).rejects.toSatisfy(
      (error: Error) => error.name === 'AbortError' || (error as { code?: string }).code === 'cancelled',
    );
    expect(startTimeOf(Number(pid))).not.toBe(startTime);
    expect(await find(spec)).toBeUndefined();
    expect(findLeftovers().filter(({ id }) => id === spec.id)).toEqual([]);
  });

  test('killing a cell ends everything in it, and its folder is found and cleaned', async () => {
    const spec = newSpec();
    const host = await start(spec);
    await startNetwork(host.uri, spec.stateDir);
    const tree = processTree(host.pid);
    process.kill(host.pid, 'SIGKILL');
    await until(async () => stillAlive(tree).length === 0 || undefined, {
      everyMs: 5,
      timeoutMs: 10_000,
      failure: () => new Error(`alive: ${stillAlive(tree).join()}`) as never,
    });
    expect(await find(spec)).toBeUndefined();
    await expect(host.dial('192.168.200.1', 22)).rejects.toMatchObject({ code: 'host.unavailable' });
    await expect(host.run(['true'])).rejects.toMatchObject({ code: 'host.unavailable' });
    expect(findLeftovers()).toContainEqual({ runtimeDir: resolve(host.socketDir, '..'), id: spec.id, stateDir: spec.stateDir });
    expect((await cleanLeftovers()).map(({ id }) => id)).toContain(spec.id);
    expect(existsSync(host.socketDir)).toBe(false);
    expect(existsSync(join(spec.stateDir, 'cell'))).toBe(false);

    const again = await start(spec);
    expect(again.pid).not.toBe(host.pid);
    expect(await virsh(again.uri, 'net-list', '--all', '--name')).toBe('lan');
  });

  test('ends as a whole when its own first process is killed', async () => {
    const spec = newSpec();
    const host = await start(spec);
    const tree = processTree(host.pid);
    const [inner] = readFileSync(join(host.socketDir, '../host'), 'utf8').split(' ');
    process.kill(Number(inner), 'SIGKILL');
    await until(async () => stillAlive(tree).length === 0 || undefined, {
      everyMs: 5,
      timeoutMs: 10_000,
      failure: () => new Error(`alive: ${stillAlive(tree).join()}`) as never,
    });
    expect(existsSync(resolve(host.socketDir, '..'))).toBe(false);
    expect(await find(spec)).toBeUndefined();
    expect(unexpectedEnd(spec.stateDir)).toContain(`(pid ${host.pid}) ended unexpectedly`);
    await endEmbeddedHost(spec);
    expect(unexpectedEnd(spec.stateDir)).toBeUndefined();
  });

  test('reports that another environment with the same id is running', async () => {
    const spec = newSpec();
    await start(spec);
    const copy = { ...spec, stateDir: join(folder, 'copy', 'host') };
    await expect(startEmbeddedHost(copy, { resourcesDir, log: silentLog })).rejects.toMatchObject({ code: 'conflict.locked' });
  });

  test('names what keeps libvirt from starting', async () => {
    const spec = newSpec();
    const broken = join(folder, 'broken-resources');
    cpSync(resourcesDir, broken, { recursive: true });
    const script = join(broken, 'host/cell.sh');
    writeFileSync(script, readFileSync(script, 'utf8').replace('user = "+4294967295"', 'user = "no-such-user"'));
    const failed = startEmbeddedHost(spec, { resourcesDir: broken, log: silentLog });
    await expect(failed).rejects.toMatchObject({
      code: 'host.unavailable',
      message: expect.stringContaining('no-such-user') as string,
      hint: expect.stringContaining('qemu:///system') as string,
    });
    expect(await find(spec)).toBeUndefined();
    expect(existsSync(join('/run/lago', spec.id.slice(0, 12)))).toBe(false);
  });
});

describe('inside', () => {
  test('libvirtd and the relay come back when they are killed', async () => {
    const spec = newSpec();
    const host = await start(spec);
    await startNetwork(host.uri, spec.stateDir);
    greet(host, '192.168.200.1', 7000);
    expect(await readAll(await dialUntil(host, '192.168.200.1', 7000))).toBe('hello');
    const before = (await host.run(['cat', '/run/libvirtd.pid'])).stdout;
    await host.run(['kill', '-9', before]);
    await until(async () => ((await run(['virsh', '-q', '-c', host.uri, 'uri'])).code === 0 ? true : undefined), {
      everyMs: 20,
      timeoutMs: 10_000,
      failure: () => new Error('libvirtd did not come back') as never,
    });
    expect((await host.run(['cat', '/run/libvirtd.pid'])).stdout).not.toBe(before);
    expect(await virsh(host.uri, 'net-list', '--name')).toBe('lan');

    const relay = processTree(host.pid).find(({ pid }) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('relay.cjs'));
    process.kill(relay?.pid ?? 0, 'SIGKILL');
    expect(await readAll(await dialUntil(host, '192.168.200.1', 7000))).toBe('hello');
  });

  test('listens on a gateway, and again after the relay was killed', async () => {
    const spec = newSpec();
    const host = await start(spec);
    await startNetwork(host.uri, spec.stateDir);
    const server = createServer((request, response) => response.end(`you asked for ${request.url ?? ''}`));
    const listening = await host.listen('192.168.200.1', 8080, (stream) => void server.emit('connection', stream));
    const program =
      "require('http').get('http://192.168.200.1:8080/pkg', (r) => r.pipe(process.stdout)).on('error', (e) => { console.error(e.code); process.exit(1) })";
    const ask = () => host.run([process.execPath, '-e', program]);
    expect((await ask()).stdout).toBe('you asked for /pkg');
    await expect(host.listen('192.168.200.1', 8080, () => undefined)).rejects.toMatchObject({ code: 'host.unavailable' });
    await expect(host.listen('192.168.201.1', 8080, () => undefined)).rejects.toMatchObject({ code: 'host.unavailable' });
    // Not in the machine's own network.
    await expect(fetch('http://127.0.0.1:8080/')).rejects.toThrow('fetch failed');

    const relay = processTree(host.pid).find(({ pid }) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('relay.cjs'));
    process.kill(relay?.pid ?? 0, 'SIGKILL');
    await until(async () => ((await ask()).code === 0 ? true : undefined), {
      everyMs: 20,
      timeoutMs: 10_000,
      failure: () => new Error('not listening again') as never,
    });

    await listening[Symbol.asyncDispose]();
    await until(async () => ((await ask()).stderr.includes('ECONNREFUSED') ? true : undefined), {
      everyMs: 20,
      timeoutMs: 10_000,
      failure: () => new Error('still listening') as never,
    });
    server.close();
  });

  test('a VM runs, shows its screen outside, and outlives its libvirtd', async () => {
    const spec = newSpec();
    const host = await start(spec);
    await startNetwork(host.uri, spec.stateDir);
    const path = join(spec.stateDir, 'vm0.xml');
    writeFileSync(path, domainXml(host.socketDir));
    await virsh(host.uri, 'define', path);
    await virsh(host.uri, 'start', 'vm0');
    expect(await screenGreeting(join(host.socketDir, 'vm0.sock'))).toMatch(/^RFB 003/);
    const before = (await host.run(['cat', '/run/libvirtd.pid'])).stdout;
    await host.run(['kill', '-9', before]);
    await until(async () => ((await run(['virsh', '-q', '-c', host.uri, 'uri'])).code === 0 ? true : undefined), {
      everyMs: 20,
      timeoutMs: 20_000,
      failure: () => new Error('libvirtd did not come back') as never,
    });
    expect(await virsh(host.uri, 'domstate', 'vm0')).toBe('running');
    const tree = processTree(host.pid);
    await host.stop();
    expect(stillAlive(tree)).toEqual([]);
    const again = await start(spec);
    expect(await virsh(again.uri, 'domstate', 'vm0')).toBe('shut off');
  });

  test('two hosts live side by side with the same network', async () => {
    const specs = [newSpec(), newSpec()];
    const hosts = await Promise.all(specs.map(start));
    await Promise.all(hosts.map((host, index) => startNetwork(host.uri, specs[index]?.stateDir ?? '')));
    for (const host of hosts) {
      expect((await host.run(['ip', '-br', 'address', 'show', 'lagobr0'])).stdout).toContain('192.168.200.1/24');
    }
    const [one, two] = hosts as [EmbeddedHost, EmbeddedHost];
    greet(one, '192.168.200.1', 7000);
    expect(await readAll(await dialUntil(one, '192.168.200.1', 7000))).toBe('hello');
    await expect(two.dial('192.168.200.1', 7000)).rejects.toMatchObject({ code: 'guest.unreachable' });
    await one.stop();
    expect(await virsh(two.uri, 'net-list', '--name')).toBe('lan');
  });

  test('run works in the host, ends when it is cancelled, and sees the prefix wherever it is', async () => {
    const base = mkdtempSync('/run/lago-host-test-');
    opened.push(() => rmSync(base, { recursive: true, force: true }));
    const spec = newSpec(base);
    const host = await start(spec);
    writeFileSync(join(spec.stateDir, 'disk'), 'bytes');
    expect((await host.run(['cat', 'disk'], { cwd: spec.stateDir })).stdout).toBe('bytes');
    expect((await host.run(['touch', join(spec.stateDir, 'written')])).code).toBe(0);
    expect(existsSync(join(spec.stateDir, 'written'))).toBe(true);
    expect((await host.run(['sh', '-c', 'exit 7'])).code).toBe(7);
    expect((await host.run(['readlink', '/proc/self/ns/net'])).stdout.trim()).not.toBe(readlinkSync('/proc/self/ns/net'));
    expect((await host.run(['ip', 'route'])).stdout).toBe('');
    await expect(host.run(['no-such-program'])).resolves.toMatchObject({ code: 127 });

    const stop = new AbortController();
    const sleeping = host.run(['sleep', '1000.25'], { signal: stop.signal });
    const inside = async (): Promise<string> => (await host.run(['sh', '-c', 'cat /proc/[0-9]*/cmdline | tr "\\0" " "'])).stdout;
    await until(async () => ((await inside()).includes('sleep 1000.25') ? true : undefined), {
      everyMs: 10,
      timeoutMs: 5000,
      failure: () => new Error('it does not run') as never,
    });
    stop.abort();
    await expect(sleeping).rejects.toMatchObject({ code: 'cancelled' });
    await until(async () => ((await inside()).includes('sleep 1000.25') ? undefined : true), {
      everyMs: 10,
      timeoutMs: 5000,
      failure: () => new Error('it still runs') as never,
    });
  });

  test('a dialed stream stays open for the answer after it was ended', async () => {
    const host = await start(newSpec());
    const stop = new AbortController();
    opened.push(() => stop.abort());
    const program =
      "require('net').createServer({allowHalfOpen: true}, (c) => { let n = 0; c.on('data', (d) => (n += d.length)); c.on('end', () => c.end(`got ${n}`)) }).listen(7001, '127.0.0.1')";
    host.run([process.execPath, '-e', program], { signal: stop.signal }).catch(() => undefined);
    const stream = await dialUntil(host, '127.0.0.1', 7001);
    stream.end(Buffer.alloc(3_000_000));
    expect(await readAll(stream)).toBe('got 3000000');
  });
});

describe('as an ordinary user', () => {
  let tunMode = 0;
  let home = '';
  beforeAll(() => {
    tunMode = statSync('/dev/net/tun').mode & 0o777;
    chmodSync('/dev/net/tun', 0o666);
    home = join(folder, 'home');
    mkdirSync(home);
    chownSync(home, USER, USER);
  });
  afterAll(() => chmodSync('/dev/net/tun', tunMode));

  const asUser = ['setpriv', `--reuid=${USER}`, `--regid=${USER}`, '--clear-groups'];
  const userEnvironment = () => ({ HOME: home, XDG_CACHE_HOME: join(home, 'cache'), XDG_RUNTIME_DIR: '' });

  test('a host needs no rights at all', async () => {
    const spec = newSpec(home);
    const driver = new Driver({ spec, resourcesDir }, asUser, userEnvironment());
    opened.push(async () => void (await driver.call({ op: 'stop' })));
    const { pid = 0, uri = '' } = await driver.call({ op: 'start' });
    const tree = processTree(pid);
    expect(statSync(`/proc/${pid}`).uid).toBe(USER);
    // Root leaves a user's host alone.
    await expect(find(spec)).rejects.toMatchObject({ code: 'conflict.locked' });

    const xml = join(folder, 'user-network.xml');
    writeFileSync(xml, networkXml('lan'));
    const virshAsUser = (...argv: string[]) =>
      runChecked([...asUser, 'virsh', '-q', '-c', uri, ...argv], 'virsh failed.', { env: { HOME: home } });
    await virshAsUser('net-define', xml);
    await virshAsUser('net-start', 'lan');
    expect((await driver.call({ op: 'run', argv: ['ip', '-br', 'address', 'show', 'lagobr0'] })).text).toContain('192.168.200.1/24');
    // dnsmasq answers on the network.
    const dns = await driver.call({
      op: 'run',
      argv: [process.execPath, '-e', "require('net').connect(53, '192.168.200.1', () => { console.log('up'); process.exit() })"],
    });
    expect(dns.text).toContain('up');

    const domain = join(folder, 'user-domain.xml');
    writeFileSync(domain, domainXml(`/tmp/lago-${USER}/${spec.id.slice(0, 12)}/vnc`));
    await virshAsUser('define', domain);
    await virshAsUser('start', 'vm0');
    expect(await screenGreeting(`/tmp/lago-${USER}/${spec.id.slice(0, 12)}/vnc/vm0.sock`)).toMatch(/^RFB 003/);
    tree.push(...processTree(pid));
    const emulator = tree.find((each) => commandOf(each.pid).startsWith('/usr/bin/qemu-system'));
    expect(statSync(`/proc/${emulator?.pid ?? 0}`).uid).toBe(USER);

    const greeter = [
      'sh',
      '-c',
      `'${process.execPath}' -e "require('net').createServer((c) => c.end('hello')).listen(7000, '192.168.200.1')" >/dev/null 2>&1 &`,
    ];
    await driver.call({ op: 'run', argv: greeter });
    await driver.call({ op: 'stop' });
    expect(stillAlive(tree)).toEqual([]);
    expect(readdirSync(`/tmp/lago-${USER}`)).toEqual([]);
    expect(await driver.call({ op: 'find' })).toEqual({ ok: true });
  });

  test('a tap that may not be made is a sentence', async () => {
    chmodSync('/dev/net/tun', 0o600);
    try {
      const driver = new Driver({ spec: newSpec(home), resourcesDir }, asUser, userEnvironment());
      await expect(driver.call({ op: 'start' })).rejects.toThrow(/host\.denied: \/dev\/net\/tun cannot be opened/);
    } finally {
      chmodSync('/dev/net/tun', 0o666);
    }
  });

  describe('with a way out, in a network of its own', () => {
    const namespace = `lago-up-${process.pid}`;
    beforeAll(async () => {
      const ip = (...argv: string[]) => runChecked(['ip', ...argv], 'ip failed.');
      await ip('netns', 'add', namespace);
      const inside = (...argv: string[]) => ip('-n', namespace, ...argv);
      await inside('link', 'set', 'lo', 'up');
      // A veth pair acts as the network card: this machine's kernel has no dummy devices.
      await inside('link', 'add', 'card0', 'type', 'veth', 'peer', 'name', 'card1');
      await inside('link', 'set', 'card1', 'up');
      await inside('address', 'add', '172.31.77.1/24', 'dev', 'card0');
      await inside('link', 'set', 'card0', 'up');
      if ((await inside('route')).stdout.includes('default')) throw new Error('The network has a way out.');
    });
    afterAll(async () => void (await run(['ip', 'netns', 'delete', namespace])));

    for (const tool of ['pasta', 'slirp4netns'] as const) {
      for (const who of ['root', 'user'] as const) {
        test(`${tool}, ${who}`, async () => {
          const enter = ['ip', 'netns', 'exec', namespace];
          const web = (address: string, port: number): ChildProcess => {
            const program = `require('http').createServer((q, r) => r.end('outside')).listen(${port}, '${address}', () => console.log('up'))`;
            const child = spawn('ip', ['netns', 'exec', namespace, process.execPath, '-e', program], {
              stdio: ['ignore', 'pipe', 'inherit'],
            });
            opened.push(() => void child.kill('SIGKILL'));
            return child;
          };
          const servers = [web('172.31.77.1', 8080), web('127.0.0.1', 8081)];
          await Promise.all(servers.map((child) => once(child.stdout as NodeJS.ReadableStream, 'data')));

          const spec = { ...newSpec(who === 'root' ? folder : home), uplink: tool as 'auto' };
          // An ordinary user cannot prove that it is outside of the machine's network; this one is.
          const driver =
            who === 'root'
              ? new Driver({ spec, resourcesDir }, enter)
              : new Driver({ spec, resourcesDir }, [...enter, ...asUser], { ...userEnvironment(), LAGO_CONFINED: '' });
          const started = await driver.call({ op: 'start' });
          expect(started.uplink).toBe(tool);
          const tree = processTree(started.pid ?? 0);
          const get = (url: string): DriverCommand => ({
            op: 'run',
            argv: [
              process.execPath,
              '-e',
              `fetch('${url}', { signal: AbortSignal.timeout(2000) }).then(async (r) => console.log(await r.text()), (e) => console.log('no', e.cause?.code))`,
            ],
          });
          await until(
            async () => ((await driver.call(get('http://172.31.77.1:8080/'))).text?.includes('outside') === true ? true : undefined),
            {
              everyMs: 50,
              timeoutMs: 20_000,
              failure: () => new Error(`no way out: ${readFileSync(join(spec.stateDir, 'log/uplink.log'), 'utf8')}`) as never,
            },
          );
          // The machine's loopback must be unreachable.
          for (const gateway of ['198.19.254.1', '198.19.254.2', '127.0.0.1']) {
            expect((await driver.call(get(`http://${gateway}:8081/`))).text).toContain('no');
          }
          tree.push(...processTree(started.pid ?? 0));
          await driver.call({ op: 'stop' });
          expect(stillAlive(tree)).toEqual([]);
        });
      }
    }

    test('auto means none in a confined run in the machine’s own network', async () => {
      const host = await start({ ...newSpec(), uplink: 'auto' });
      expect(host.uplink).toBe('none');
      await sleep(10);
      expect((await host.run(['ip', '-br', 'link'])).stdout.trim().split('\n')).toHaveLength(1);
    });
  });
});

test('identities of processes that ended are not running', () => {
  expect(isRunning({ pid: process.pid, startTime: '1', boot: 'x' })).toBe(false);
});
