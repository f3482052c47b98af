import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Server } from 'ssh2';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connectHypervisor } from '../libvirt.ts';
import { type FakeLibvirtd, startFakeLibvirtd } from './libvirtd.fake.ts';

// An ssh server in this process, on loopback, that leads to a fake libvirtd.
let folder: string;
let daemon: FakeLibvirtd;
let server: Server;
let address: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lago-ssh2-'));
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, 'host')]);
  daemon = await startFakeLibvirtd();
  server = new Server({ hostKeys: [await readFile(join(folder, 'host'))] }, (client) => {
    client.on('error', () => undefined);
    client.on('authentication', (context) => {
      if (context.method === 'password' && context.username === 'me' && context.password === 'secret') context.accept();
      else context.reject(['password']);
    });
    client.on('openssh.streamlocal', (accept, reject, { socketPath }) => {
      const socket = connect(socketPath);
      socket.on('error', () => reject());
      socket.on('connect', () => {
        const channel = accept();
        socket.pipe(channel).pipe(socket);
        socket.on('close', () => channel.end());
        channel.on('close', () => socket.destroy());
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  address = `me@127.0.0.1:${port}`;
  const key = (await readFile(join(folder, 'host.pub'), 'utf8')).split(' ').slice(0, 2).join(' ');
  await writeFile(join(folder, 'known'), `[127.0.0.1]:${port} ${key}\n`);
  await writeFile(join(folder, 'other'), '');
  // The agent of whoever runs the tests is not asked.
  process.env['SSH_AUTH_SOCK'] = '';
});

afterEach(async () => {
  await new Promise<void>((resolve) => server.close(() => resolve()));
  await daemon.stop();
  await rm(folder, { recursive: true, force: true });
});

const uri = (known: string, socket = daemon.path): string =>
  `qemu+libssh2://${address}/system?socket=${socket}&known_hosts=${join(folder, known)}&keyfile=${join(folder, 'nothing')}`;
const password = async (): Promise<string> => await Promise.resolve('secret');

describe('the built-in ssh client', () => {
  it('logs in with a password and forwards to the socket', async () => {
    const asked: string[] = [];
    const hypervisor = await connectHypervisor(uri('known'), {
      questions: {
        password: async (user, host) => {
          asked.push(`${user} ${host}`);
          return await password();
        },
      },
    });
    expect((await hypervisor.findDomain('vm0'))?.name).toBe('vm0');
    expect(asked).toEqual(['me 127.0.0.1', 'me 127.0.0.1']);
    await hypervisor.close();
  });

  it('asks about an unknown host key', async () => {
    const fingerprints: string[] = [];
    const hostKey = async (_host: string, fingerprint: string): Promise<boolean> => {
      fingerprints.push(fingerprint);
      return await Promise.resolve(true);
    };
    await (await connectHypervisor(uri('other'), { questions: { password, hostKey } })).close();
    expect(fingerprints[0]).toMatch(/^SHA256:[A-Za-z0-9+/]{43}$/);
    await expect(connectHypervisor(uri('other'), { questions: { password } })).rejects.toMatchObject({
      code: 'host.denied',
      message: expect.stringContaining('not known yet') as string,
    });
  });

  it('refuses another host key without a question', async () => {
    const other = (await readFile(join(folder, 'known'), 'utf8')).replace(
      /AAAA\S+/,
      'AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
    );
    await writeFile(join(folder, 'known'), other);
    const hostKey = async (): Promise<boolean> => await Promise.resolve(true);
    await expect(connectHypervisor(uri('known'), { questions: { password, hostKey } })).rejects.toMatchObject({
      code: 'host.denied',
      message: expect.stringContaining('not the known one') as string,
    });
  });

  it('says that the log-in, or the socket, is refused', async () => {
    await expect(connectHypervisor(uri('known'))).rejects.toMatchObject({
      code: 'host.denied',
      message: expect.stringContaining('refuses the login') as string,
    });
    await expect(connectHypervisor(uri('known', '/nowhere/sock'), { questions: { password } })).rejects.toMatchObject({
      code: 'host.unavailable',
      message: expect.stringContaining('/nowhere/sock') as string,
    });
  });
});
