import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Client, type ConnectConfig, utils } from 'ssh2';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { silentLog } from '../core/log.ts';
import { until } from '../core/until.ts';
import { createOverlay } from '../disk/qemu-img.ts';
import { startEmbeddedHost } from '../host/embedded/embedded.ts';
import type { EmbeddedHost } from '../host/host.ts';
import type { Hypervisor } from '../libvirt/hypervisor.ts';
import { connectHypervisor } from '../libvirt/libvirt.ts';
import { type NocloudSeed, nocloudSeed } from '../seed/cloud-init.ts';
import { findTemplate, loadRepository } from '../template/repository.ts';
import { openStore, type StoredTemplate } from '../template/store.ts';

const checkout = resolve(import.meta.dirname, '../../..');
const resourcesDir = join(checkout, 'resources');
const environment = { ...process.env };
const key = utils.generateKeyPairSync('ed25519');
const password = 'päss "word" $1';
const personal: NocloudSeed = { hostname: 'web', instanceId: 'one', publicKey: key.public, rootPassword: password, sshByPassword: true };
let folder = '';
let template: StoredTemplate;
let host: EmbeddedHost;
let hypervisor: Hypervisor;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lago guest '));
  Object.assign(process.env, { LAGO_CONFINED: '1' });
  const built = spawnSync(process.execPath, ['--import', join(checkout, 'scripts/typescript.mjs'), join(checkout, 'scripts/guest.ts')], {
    encoding: 'utf8',
  });
  expect(built.stderr).toBe('');
  const repository = await loadRepository(join(checkout, '.cache/templates/repo.json'));
  template = await openStore(join(folder, 'store')).fetch(findTemplate(repository, 'lago-sample'));
  host = await startEmbeddedHost(
    { id: randomBytes(16).toString('hex'), stateDir: join(folder, 'host'), uplink: 'none', accelerator: 'tcg' },
    { resourcesDir, log: silentLog },
  );
  hypervisor = await connectHypervisor(host.uri);
  for (const [name, third] of [
    ['lan', 200],
    ['back', 201],
  ] as const) {
    await hypervisor.defineNetwork(networkXml(name, third));
    await hypervisor.startNetwork(name);
  }
});

afterEach(remove);

afterAll(async () => {
  await hypervisor?.close();
  await host?.stop();
  process.env = environment;
  rmSync(folder, { recursive: true, force: true });
});

async function remove(): Promise<void> {
  await hypervisor.destroyDomain('vm');
  await hypervisor.undefineDomain('vm');
}

function networkXml(name: string, third: number): string {
  return `<network xmlns:dnsmasq='http://libvirt.org/schemas/network/dnsmasq/1.0'>
    <name>${name}</name><forward mode='nat'/><bridge name='lago-${name}' stp='off' delay='0'/>
    <ip address='192.168.${third}.1' netmask='255.255.255.0'><dhcp><range start='192.168.${third}.100' end='192.168.${third}.254'/>
      <host mac='54:52:c0:a8:${third.toString(16)}:02' name='by-dhcp' ip='192.168.${third}.2'/></dhcp></ip>
    <dnsmasq:options><dnsmasq:option value='user=root'/><dnsmasq:option value='group='/></dnsmasq:options></network>`;
}

function domainXml(disk: string, seed: string | undefined): string {
  const seedXml =
    seed === undefined
      ? ''
      : `<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='${seed}'/><target dev='vdb' bus='virtio'/><readonly/></disk>`;
  const nic = (network: string, third: string): string =>
    `<interface type='network'><mac address='54:52:c0:a8:${third}:02'/><source network='${network}'/><model type='virtio'/><rom enabled='no'/></interface>`;
  return `<domain type='qemu'><name>vm</name><memory unit='MiB'>256</memory><vcpu>1</vcpu>
    <os><type arch='x86_64' machine='pc'>hvm</type></os><features><acpi/><apic/></features>
    <cpu mode='maximum'><feature policy='disable' name='la57'/></cpu><on_reboot>restart</on_reboot>
    <devices><disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='unsafe'/><source file='${disk}'/><target dev='vda' bus='virtio'/></disk>
    ${seedXml}${nic('lan', 'c8')}${nic('back', 'c9')}
    <controller type='usb' model='none'/><serial type='pty'><target port='0'/></serial><console type='pty'><target type='serial' port='0'/></console>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel><memballoon model='none'/></devices></domain>`;
}

async function makeDisk(): Promise<string> {
  const path = join(folder, `${randomBytes(4).toString('hex')}.qcow2`);
  await createOverlay({ path, backing: template.path, backingFormat: template.format });
  return path;
}

async function boot(disk: string, seed?: Partial<NocloudSeed>): Promise<void> {
  const path = join(folder, `${randomBytes(4).toString('hex')}.iso`);
  if (seed !== undefined) writeFileSync(path, nocloudSeed({ ...personal, ...seed }));
  await hypervisor.defineDomain(domainXml(disk, seed === undefined ? undefined : path));
  await hypervisor.startDomain('vm');
}

async function logIn(client: Client, login: ConnectConfig): Promise<void> {
  const sock = await host.dial('192.168.200.2', 22);
  await new Promise<void>((done, failed) =>
    client
      .on('ready', done)
      .on('error', failed)
      .connect({ ...login, username: 'root', sock: sock as never }),
  );
}

/** Types one line into a login shell on a terminal at each prompt, until the shell ends; returns everything the terminal showed. */
async function inTerminal(lines: readonly string[]): Promise<string> {
  await waitForSsh();
  const client = new Client();
  try {
    await logIn(client, { privateKey: key.private });
    return await new Promise<string>((done, failed) => {
      client.shell({ term: 'xterm-256color', cols: 132, rows: 40 }, (error, channel) => {
        if (error !== undefined) return failed(error);
        const left = [...lines];
        let output = '';
        let answered = 0;
        channel.on('data', (data: Buffer) => {
          output += data.toString();
          const prompt = output.indexOf(']# ', answered);
          if (prompt < 0) return;
          answered = prompt + 3;
          const next = left.shift();
          if (next !== undefined) channel.write(next);
        });
        channel.on('close', () => done(output));
      });
    });
  } finally {
    client.destroy();
  }
}

/** Waits for the ssh banner, so that a refused login can be distinguished from a guest that is not up. */
async function waitForSsh(): Promise<void> {
  await until(
    async () => {
      try {
        const socket = await host.dial('192.168.200.2', 22, { timeoutMs: 1000 });
        const first = await new Promise<string>((done) =>
          socket
            .once('data', (data: Buffer) => done(data.toString()))
            // The guest may still reset a connection that it has accepted.
            .on('error', () => done(''))
            .once('close', () => done('')),
        );
        socket.destroy();
        return first.startsWith('SSH-2.0') ? true : undefined;
      } catch (error) {
        if ((error as { code?: string }).code === 'guest.unreachable') return undefined;
        throw error;
      }
    },
    { everyMs: 100, timeoutMs: 120_000, failure: () => new Error('ssh did not come up') as never },
  );
}

async function ssh(command: string, login: ConnectConfig = { privateKey: key.private }): Promise<string> {
  await waitForSsh();
  const client = new Client();
  try {
    await logIn(client, login);
    return await new Promise<string>((done, failed) => {
      client.exec(command, (error, channel) => {
        if (error !== undefined) return failed(error);
        let output = '';
        channel.on('data', (data: Buffer) => {
          output += data.toString();
        });
        channel.stderr.on('data', (data: Buffer) => {
          output += data.toString();
        });
        channel.on('close', () => done(output.trim()));
      });
    });
  } finally {
    client.destroy();
  }
}

/** The result of one command of the guest agent. */
async function agent(execute: string, args: object = {}): Promise<unknown> {
  const reply = JSON.parse(await hypervisor.agentCommand('vm', JSON.stringify({ execute, arguments: args }))) as {
    readonly return: unknown;
  };
  return reply.return;
}

/** Runs a command line in the guest by its agent, without ssh. */
async function byAgent(command: string): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
  interface Status {
    readonly exited: boolean;
    readonly exitcode: number;
    readonly 'out-data': string;
    readonly 'err-data': string;
  }
  const { pid } = (await agent('guest-exec', { path: '/bin/sh', arg: ['-c', command], 'capture-output': true })) as {
    readonly pid: number;
  };
  const ended = async (): Promise<Status | undefined> => {
    const status = (await agent('guest-exec-status', { pid })) as Status;
    return status.exited ? status : undefined;
  };
  const status = await until(ended, { everyMs: 100, timeoutMs: 30_000, failure: () => new Error('still running') as never });
  const text = (data: string): string => Buffer.from(data, 'base64').toString();
  return { code: status.exitcode, stdout: text(status['out-data']), stderr: text(status['err-data']) };
}

describe('the sample guest', () => {
  test('follows its seed: name, key, password, on every network', async () => {
    await boot(await makeDisk(), {});
    expect(await ssh('hostname; cat /etc/hostname')).toBe('web\nweb');
    expect(await ssh('hostname', { password })).toBe('web');
    await expect(ssh('hostname', { password: 'wrong' })).rejects.toMatchObject({ level: 'client-authentication' });
    // ssh answers once the first card has its address; the other cards get address, route and name server from DHCP later.
    let said = '';
    const wanted = [
      /eth0 192\.168\.200\.2\/24\n/,
      /eth1 192\.168\.201\.2\/24\n/,
      /\neth0\neth1\n/,
      /nameserver 192\.168\.200\.1\n(.*\n)*nameserver 192\.168\.201\.1/,
    ];
    await until(
      async () => {
        said = await ssh("ip -4 -o addr show | awk '{ print $2, $4 }'; ip route | awk '/default/ { print $5 }'; cat /etc/resolv.conf");
        return wanted.every((part) => part.test(said)) ? true : undefined;
      },
      { everyMs: 200, timeoutMs: 60_000, failure: () => new Error(`The network is not as seeded:\n${said}`) as never },
    );
    const leases = await hypervisor.networkLeases('lan');
    expect(leases).toMatchObject([{ ip: '192.168.200.2' }]);
    // The customization files are gone.
    expect(await ssh('ls /run/seed.* /run/seed; mount | grep -c iso9660')).toBe('/run/seed.log\n\n/run/seed:\n0');
  });

  test('gives a shell that knows its terminal, letters of any language and pasted text', async () => {
    await boot(await makeDisk(), {});
    const said = await inTerminal([
      'x=äöü; echo "letters ${#x} in $LANG"\n',
      'echo "size $(stty size) of $TERM"\n',
      '\x0c',
      'echo "ls is $(type -t ls)"\n',
      'exit\n',
    ]);
    expect(said).toContain('letters 3 in C.UTF-8');
    expect(said).toContain('size 40 132 of xterm-256color');
    expect(said).toContain('ls is alias');
    // Bracketed paste is switched on before each prompt; Ctrl+L clears with the sequences of the terminal's terminfo entry.
    expect(said).toContain('\x1b[?2004h');
    expect(said).toMatch(/\x1b\[H\x1b\[2J/);
  });

  test('logs in on the serial console', async () => {
    await boot(await makeDisk(), { rootPassword: 'plain' });
    await waitForSsh();
    const console_ = await hypervisor.openConsole('vm');
    let seen = '';
    console_.on('data', (data: Buffer) => {
      seen += data.toString();
    });
    const expectText = async (text: RegExp): Promise<void> => {
      await until(async () => (text.test(seen) ? true : undefined), {
        everyMs: 50,
        timeoutMs: 20_000,
        failure: () => new Error(`not seen: ${text} in ${seen}`) as never,
      });
    };
    console_.write('\n');
    await expectText(/web login: /);
    console_.write('root\n');
    await expectText(/Password: /);
    console_.write('plain\n');
    await expectText(/\[root@web ~\]# /);
    console_.write('tty\n');
    await expectText(/\/dev\/ttyS0/);
    console_.destroy();
  });

  test('keeps changes until the instance id changes', async () => {
    const disk = await makeDisk();
    await boot(disk, { hostname: 'first' });
    expect(await ssh('echo kept > /etc/hostname; sync; hostname')).toBe('first');
    await remove();
    await boot(disk, { hostname: 'second' });
    expect(await ssh('hostname')).toBe('kept');
    await remove();
    await boot(disk, { hostname: 'third', instanceId: 'two', userData: { ssh_pwauth: false } });
    expect(await ssh('hostname')).toBe('third');
    await expect(ssh('hostname', { password })).rejects.toMatchObject({ level: 'client-authentication' });
  });

  test('without a seed gets its name from the network, and nobody can log in', async () => {
    await boot(await makeDisk());
    await expect(ssh('hostname', { password: '' })).rejects.toMatchObject({ level: 'client-authentication' });
    await expect(ssh('hostname')).rejects.toMatchObject({ level: 'client-authentication' });
    const console_ = await hypervisor.openConsole('vm');
    let seen = '';
    console_.on('data', (data: Buffer) => {
      seen += data.toString();
    });
    await until(
      async () => {
        console_.write('\n');
        return /by-dhcp login: /.test(seen) ? true : undefined;
      },
      { everyMs: 500, timeoutMs: 20_000, failure: () => new Error(`no name in ${seen}`) as never },
    );
    console_.destroy();
  });

  test('has the guest agent: name, network, commands, frozen file systems, time; and shuts down on request', async () => {
    await boot(await makeDisk(), {});
    await waitForSsh();
    const ping = async (): Promise<string | undefined> => {
      try {
        return await hypervisor.agentCommand('vm', '{"execute":"guest-get-host-name"}');
      } catch (error) {
        if ((error as { code?: string }).code === 'hypervisor.failed') return undefined;
        throw error;
      }
    };
    const answer = await until(ping, { everyMs: 200, timeoutMs: 30_000, failure: () => new Error('no agent') as never });
    expect(JSON.parse(answer)).toEqual({ return: { 'host-name': 'web' } });
    const nics = await hypervisor.interfaceAddresses('vm', 'agent');
    expect(nics.find(({ mac }) => mac === '54:52:c0:a8:c8:02')?.addresses).toContainEqual({ ip: '192.168.200.2', prefix: 24 });

    expect(await byAgent('echo out; echo err >&2; exit 3')).toEqual({ code: 3, stdout: 'out\n', stderr: 'err\n' });

    // While it is frozen, the agent obeys few commands; thawing what is not frozen does nothing.
    const frozen = await hypervisor.freezeFilesystems('vm');
    expect(frozen).toBeGreaterThan(0);
    expect(await agent('guest-fsfreeze-status')).toBe('frozen');
    await expect(hypervisor.freezeFilesystems('vm')).rejects.toMatchObject({ code: 'hypervisor.failed' });
    expect(await hypervisor.thawFilesystems('vm')).toBe(frozen);
    expect(await agent('guest-fsfreeze-status')).toBe('thawed');
    expect(await hypervisor.thawFilesystems('vm')).toBe(0);
    expect(await ssh('touch /thawed && echo written')).toBe('written');

    const year2001 = 1_000_000_000;
    await agent('guest-set-time', { time: year2001 * 1e9 });
    expect(Math.floor(Number(await agent('guest-get-time')) / 1e12)).toBe(year2001 / 1000);
    expect(await ssh('date +%Y')).toBe('2001');
    await expect(hypervisor.agentCommand('vm', '{"execute":"no-such-command"}')).rejects.toMatchObject({ code: 'hypervisor.failed' });

    await hypervisor.shutdownDomain('vm', { by: 'agent' });
    const off = async (): Promise<true | undefined> => ((await hypervisor.findDomain('vm'))?.state === 'shut off' ? true : undefined);
    await until(off, { everyMs: 100, timeoutMs: 30_000, failure: () => new Error('still on') as never });
  });
});
