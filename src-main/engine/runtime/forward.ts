import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, type FSWatcher, watch } from 'node:fs';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { EngineError } from '../../../src-shared/errors.ts';
import { drop, type Log } from '../core/log.ts';
import { readPrefix, vmSpec } from '../prefix/prefix.ts';
import { connectToPort } from './access.ts';
import type { Forward, ForwardRequest } from './forward-request.ts';
import type { RecipeContext } from './recipe.ts';

const LOOPBACK = '127.0.0.1';

/**
 * Opens a forward. The VM need not run yet. `vm.missing`; `conflict.locked` when the local port is taken, `host.denied` when it is reserved
 * for root. `log` receives why a connection failed.
 */
export async function openForward(context: RecipeContext, root: string, request: ForwardRequest, log: Log): Promise<Forward> {
  const { vm, port } = request;
  vmSpec(await readPrefix(root), vm);
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.on('error', (error) => log.debug(`${vm}:${port}: ${error.message}`));
    drop(relay(context, root, vm, port, socket, log), log, `Forwarding to ${vm}:${port}`);
  });
  await listen(server, request);
  let watcher: FSWatcher | undefined;
  let end: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  const close = async (): Promise<void> => {
    watcher?.close();
    for (const socket of sockets) socket.destroy();
    if (server.listening) await new Promise((resolve) => server.close(resolve));
    end();
  };
  watcher = watch(root, () => {
    if (!existsSync(root)) drop(close(), log, `Ending the forward to ${vm}:${port}`);
  });
  // A folder that is gone cannot be watched any more, which is what its removal looks like.
  watcher.on('error', () => drop(close(), log, `Ending the forward to ${vm}:${port}`));
  const { port: localPort } = server.address() as AddressInfo;
  return { id: randomUUID(), vm, port, localPort, ended, [Symbol.asyncDispose]: close };
}

/** Why a wish for the same port as in the guest is not insisted on. */
const TAKEN: ReadonlySet<string | undefined> = new Set(['EADDRINUSE', 'EACCES']);

async function listen(server: Server, { port, localPort }: ForwardRequest): Promise<void> {
  for (const wanted of localPort === undefined ? [port, 0] : [localPort]) {
    server.listen(wanted, LOOPBACK);
    try {
      await once(server, 'listening');
      return;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (wanted !== localPort && TAKEN.has(code)) continue;
      if (code === 'EADDRINUSE') {
        throw new EngineError('conflict.locked', `Port ${wanted} of this machine is in use.`, {
          cause: error,
          hint: 'Choose another one.',
        });
      }
      if (code === 'EACCES') {
        throw new EngineError('host.denied', `Port ${wanted} of this machine is reserved for root.`, {
          cause: error,
          hint: 'Choose one from 1024 on.',
        });
      }
      throw error;
    }
  }
}

async function relay(context: RecipeContext, root: string, vm: string, port: number, socket: Socket, log: Log): Promise<void> {
  const gone = new AbortController();
  socket.once('close', () => gone.abort());
  let guest: Duplex;
  try {
    const prefix = await readPrefix(root);
    guest = await connectToPort(context, prefix, vmSpec(prefix, vm), port, gone.signal);
  } catch (error) {
    if (!gone.signal.aborted) log.warn(error instanceof Error ? error.message : String(error));
    socket.resetAndDestroy();
    return;
  }
  join(socket, guest, (error) => log.debug(`${vm}:${port}: ${error.message}`));
}

/** Passes bytes on in both directions. Each side may end its own direction first. */
function join(socket: Socket, guest: Duplex, onError: (error: Error) => void): void {
  guest.on('error', onError);
  socket.pipe(guest);
  guest.pipe(socket);
  socket.once('close', () => guest.destroy());
  guest.once('close', () => {
    // Cut off in the middle, or everything has been sent and what the client still says is for nobody.
    if (guest.readableEnded) socket.resume();
    else socket.resetAndDestroy();
  });
}
