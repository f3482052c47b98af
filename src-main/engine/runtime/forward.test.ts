import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createLog } from '../core/log.ts';
import { startOperation } from '../core/operation.ts';
import { loopbackDial } from '../guest/guest.fake.ts';
import { makePrefixKey } from '../guest/keys.ts';
import { readPrefix, vmSpec } from '../prefix/prefix.ts';
import { startEnvironment } from '../recipes/lifecycle.ts';
import { createWorld, UUID, type World, writePrefix } from '../recipes/world.test-support.ts';
import { openForward } from './forward.ts';
import type { Forward, ForwardRequest } from './forward-request.ts';
import { sshCommand } from './ssh-command.ts';

let folder: string;
let root: string;
let world: World;
let guest: Server;
const said: string[] = [];
const log = createLog((level, message) => void said.push(`${level}: ${message}`));

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lago-forward-'));
  root = join(folder, 'demo');
  world = createWorld();
  await writePrefix(root);
  said.length = 0;
  // A guest that answers only once its client has sent everything.
  guest = createServer({ allowHalfOpen: true }, (socket) => {
    let all = '';
    socket.on('data', (chunk: Buffer) => {
      all += chunk.toString();
    });
    socket.once('end', () => socket.end(`got ${all}`));
    socket.on('error', () => undefined); // the other side may be gone
  });
  guest.listen(0, '127.0.0.1');
  await once(guest, 'listening');
  const dial = loopbackDial();
  world.dial = async (_address, _port, options) => await dial('127.0.0.1', (guest.address() as AddressInfo).port, options);
});
afterEach(async () => {
  guest.close();
  await rm(folder, { recursive: true, force: true });
});

const start = async (): Promise<void> =>
  await startOperation({ kind: 'start', label: 'test' }, async (step) => await startEnvironment(world.context, root, [], step)).done;
const open = async (request: Partial<ForwardRequest> = {}): Promise<Forward> =>
  await openForward(world.context, root, { vm: 'vm0', port: 7, ...request }, log);

async function ask(port: number, question: string): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
  socket.end(question);
  return await text(socket);
}

it('passes bytes on in both directions, also after one side has sent everything', async () => {
  await start();
  await using forward = await open();
  expect(await Promise.all([ask(forward.localPort, 'one'), ask(forward.localPort, 'two')])).toEqual(['got one', 'got two']);
});

it('closes connections while the VM is off, and works again once it runs', async () => {
  await using forward = await open();
  await expect(ask(forward.localPort, 'one')).rejects.toMatchObject({ code: 'ECONNRESET' });
  expect(said).toEqual([expect.stringContaining('VM vm0 is not running.') as string]);
  await start();
  expect(await ask(forward.localPort, 'two')).toBe('got two');
});

it('takes another port than the guest’s if that is in use, but not than the one that was asked for', async () => {
  const { port } = guest.address() as AddressInfo;
  await using forward = await open({ port });
  expect(forward.localPort).not.toBe(port);
  await expect(open({ localPort: port })).rejects.toMatchObject({
    code: 'conflict.locked',
    message: `Port ${port} of this machine is in use.`,
  });
  await expect(open({ vm: 'nobody' })).rejects.toMatchObject({ code: 'vm.missing' });
});

it('ends with its connections when it is closed, or when the environment is removed', async () => {
  await start();
  const closed = await open();
  const socket = connect(closed.localPort, '127.0.0.1');
  await once(socket, 'connect');
  const ended = once(socket, 'close');
  await closed[Symbol.asyncDispose]();
  await ended;
  await closed.ended;
  const removed = await open();
  await rm(root, { recursive: true });
  await removed.ended;
  await expect(ask(removed.localPort, 'one')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
});

it('has an ssh command that works from a shell, whatever the path', async () => {
  root = join(folder, "Eva's VMs");
  await writePrefix(root);
  await makePrefixKey(root, 'test');
  const prefix = await readPrefix(root);
  const quoted = root.replace("'", "'\\''");
  expect(await sshCommand(prefix, vmSpec(prefix, 'vm0'))).toBe(
    `ssh -i '${quoted}/id_ed25519' -o 'ProxyCommand=lago --prefix-path '\\''${quoted.replaceAll("'", "'\\''")}'\\'' forward vm0 22 -' ` +
      `-o HostKeyAlias=${UUID}-vm0 -o StrictHostKeyChecking=accept-new root@vm0`,
  );
});
