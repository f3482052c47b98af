import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connectHypervisor } from '../libvirt.ts';
import { FakeLibvirtError, type Handlers, startFakeLibvirtd } from './libvirtd.fake.ts';

let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'lago-dial-'));
});

afterEach(async () => {
  await rm(dir, { recursive: true, force: true });
});

async function connectTo(handlers: Handlers): Promise<readonly string[]> {
  const server = await startFakeLibvirtd(handlers);
  try {
    const hypervisor = await connectHypervisor(server.uri);
    const names = server.clients[0]?.calls.map((call) => call.name) ?? [];
    await hypervisor.close();
    return names;
  } finally {
    await server.stop();
  }
}

describe('connecting', () => {
  it('opens the URI without its socket, on two connections, and asks for events on one', async () => {
    const opened: (string | undefined)[] = [];
    const names = await connectTo({
      connectOpen: ({ name }) => {
        opened.push(name);
        return undefined;
      },
    });
    expect(opened).toEqual(['qemu:///system', 'qemu:///system']);
    expect(names).toEqual([
      'authList',
      'connectOpen',
      ...Array.from({ length: 6 }, () => 'connectDomainEventRegister'),
      'connectNetworkEventRegister',
    ]);
  });

  it('works without networks if the daemon has none', async () => {
    await connectTo({
      connectNetworkEventRegister: () => {
        throw new FakeLibvirtError(3, 'no network driver');
      },
    });
  });

  it.each([
    ['is not there', async () => undefined],
    ['is a file', async (path: string) => await writeFile(path, '')],
  ])('tells how to start libvirt when the socket %s', async (_, prepare) => {
    const path = join(dir, 'sock');
    await prepare(path);
    const attempt = connectHypervisor(`qemu:///system?socket=${path}`);
    await expect(attempt).rejects.toMatchObject({
      code: 'host.unavailable',
      hint: expect.stringContaining('systemctl start libvirtd') as string,
    });
    await expect(attempt).rejects.toThrow(path);
  });

  it.each([
    ['virtqemud where it has one daemon per driver', 'there', 'virtqemud'],
    ['libvirtd where there is no virtqemud', 'missing', 'libvirtd'],
    ['libvirtd where virtqemud has left a dead socket', 'dead', 'libvirtd'],
  ])('asks %s', async (_, virtqemud, answers) => {
    const opened: string[] = [];
    const daemon = async (name: string): ReturnType<typeof startFakeLibvirtd> =>
      await startFakeLibvirtd({
        connectOpen: () => {
          opened.push(name);
          return undefined;
        },
      });
    const servers = { virtqemud: await daemon('virtqemud'), libvirtd: await daemon('libvirtd') };
    const before = process.env['XDG_RUNTIME_DIR'];
    try {
      await mkdir(join(dir, 'libvirt'));
      await symlink(servers.libvirtd.path, join(dir, 'libvirt', 'libvirt-sock'));
      if (virtqemud === 'there') await symlink(servers.virtqemud.path, join(dir, 'libvirt', 'virtqemud-sock'));
      if (virtqemud === 'dead') await writeFile(join(dir, 'libvirt', 'virtqemud-sock'), '');
      process.env['XDG_RUNTIME_DIR'] = dir;
      const hypervisor = await connectHypervisor('qemu:///session');
      expect(hypervisor.uri).toBe('qemu:///session');
      await hypervisor.close();
      expect(opened).toEqual([answers, answers]);
    } finally {
      if (before === undefined) delete process.env['XDG_RUNTIME_DIR'];
      else process.env['XDG_RUNTIME_DIR'] = before;
      await servers.virtqemud.stop();
      await servers.libvirtd.stop();
    }
  });

  it.each([
    ['/var/run/libvirt', 'sudo systemctl start virtnetworkd.socket'],
    ['/run/user/1000/libvirt', 'virtnetworkd --daemon'],
  ])('tells how to start the daemon that virtqemud asks about networks (%s)', async (folder, command) => {
    const attempt = connectTo({
      connectNetworkEventRegister: () => {
        throw new FakeLibvirtError(38, `Failed to connect socket to '${folder}/virtnetworkd-sock': No such file or directory`);
      },
    });
    await expect(attempt).rejects.toMatchObject({
      code: 'hypervisor.failed',
      hint: `libvirt has one daemon per driver there, and virtnetworkd does not answer. Start it with: ${command}`,
    });
  });

  it('names the group when the socket may not be used', async () => {
    const server = await startFakeLibvirtd();
    await chmod(server.path, 0o000);
    // Root may use any socket: drop that right while connecting.
    const root = process.geteuid?.() === 0;
    if (root) process.seteuid?.(65534);
    const attempt = connectHypervisor(server.uri);
    if (root) process.seteuid?.(0);
    await expect(attempt).rejects.toMatchObject({ code: 'host.denied', hint: expect.stringContaining('group libvirt') as string });
    await server.stop();
  });

  it.each([
    [94, /no polkit agent/],
    [45, /did not give you the right/],
    [79, /did not give you the right/],
  ])('reports what polkit refused (%i)', async (code, message) => {
    const attempt = connectTo({
      authList: () => ({ types: [2] }),
      authPolkit: () => {
        throw new FakeLibvirtError(code, 'authentication unavailable');
      },
    });
    await expect(attempt).rejects.toMatchObject({ code: 'host.denied', hint: expect.stringContaining('group libvirt') as string });
    await expect(attempt).rejects.toThrow(message);
  });

  it('asks polkit when the daemon requires it and continues when it agrees', async () => {
    const names = await connectTo({ authList: () => ({ types: [2] }), authPolkit: () => ({ complete: 1 }) });
    expect(names.slice(0, 3)).toEqual(['authList', 'authPolkit', 'connectOpen']);
  });

  it('reports that it does not support SASL', async () => {
    await expect(connectTo({ authList: () => ({ types: [1] }) })).rejects.toMatchObject({ code: 'host.denied' });
  });

  it('leaves no connection behind when the daemon refuses', async () => {
    const server = await startFakeLibvirtd({
      connectDomainEventRegister: () => {
        throw new FakeLibvirtError(1, 'no events');
      },
    });
    await expect(connectHypervisor(server.uri)).rejects.toMatchObject({ code: 'hypervisor.failed' });
    for (const client of server.clients) {
      if (!client.socket.destroyed) await new Promise((resolve) => client.socket.once('close', resolve));
    }
    expect(server.clients).toHaveLength(2);
    await server.stop();
  });
});
