import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { homedir, userInfo } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { type AnyAuthMethod, Client } from 'ssh2';
import { EngineError } from '../../../../src-shared/errors.ts';
import { drop, silentLog } from '../../core/log.ts';
import { run } from '../../core/run.ts';
import type { SshLine } from './ssh-program.ts';
import type { LibvirtTarget, SshTarget } from './uri.ts';

const READY_TIMEOUT_MS = 15_000;
const DEFAULT_KEYS = ['id_ed25519', 'id_ecdsa', 'id_rsa'];

async function readable(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (['ENOENT', 'EACCES', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

/** Public keys that known_hosts has for the machine, in base64; hashed entries included. */
async function knownKeys(ssh: SshTarget): Promise<readonly string[]> {
  const name = ssh.port === undefined || ssh.port === 22 ? ssh.host : `[${ssh.host}]:${ssh.port}`;
  const files = ssh.knownHosts === undefined ? [join(homedir(), '.ssh/known_hosts'), '/etc/ssh/ssh_known_hosts'] : [ssh.knownHosts];
  const found = await Promise.all(files.map(async (file) => await run(['ssh-keygen', '-F', name, '-f', file])));
  return found.flatMap(({ stdout }) =>
    stdout.split('\n').flatMap((line) => (line.startsWith('#') || line.trim() === '' ? [] : [line.trim().split(/\s+/)[2] ?? ''])),
  );
}

async function checkHostKey(ssh: SshTarget, key: Buffer): Promise<EngineError | undefined> {
  if (!ssh.verify) return undefined;
  const known = await knownKeys(ssh);
  if (known.includes(key.toString('base64'))) return undefined;
  const fingerprint = `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;
  const details = { host: ssh.host, fingerprint };
  if (known.length > 0) {
    return new EngineError('host.denied', `The ssh host key of ${ssh.host} is not the known one: it may be another machine.`, {
      hint: `Find out why. If the machine was installed anew, forget its key with: ssh-keygen -R ${ssh.host}`,
      details,
    });
  }
  if ((await ssh.questions?.hostKey?.(ssh.host, fingerprint)) === true) return undefined;
  return new EngineError('host.denied', `The ssh host key of ${ssh.host} is not known yet (${fingerprint}).`, {
    hint: `Connect once with "ssh ${ssh.host}" and compare the key, or put it into known_hosts.`,
    details,
  });
}

/** Ways to log in, in order: agent, keys without a passphrase, password. */
async function authMethods(ssh: SshTarget, username: string): Promise<(() => Promise<AnyAuthMethod | undefined>)[]> {
  const agent = process.env['SSH_AUTH_SOCK'];
  const paths = ssh.keyFile === undefined ? DEFAULT_KEYS.map((name) => join(homedir(), '.ssh', name)) : [ssh.keyFile];
  const keys = (await Promise.all(paths.map(readable))).filter((key) => key !== undefined);
  return [
    ...(agent === undefined || agent === '' || ssh.keyFile !== undefined
      ? []
      : [async () => ({ type: 'agent', username, agent }) as const]),
    ...keys.map((key) => async () => ({ type: 'publickey', username, key }) as const),
    async () => {
      const password = await ssh.questions?.password?.(username, ssh.host);
      return password === undefined ? undefined : ({ type: 'password', username, password } as const);
    },
  ];
}

async function logIn(ssh: SshTarget, signal: AbortSignal | undefined): Promise<Client> {
  const username = ssh.user ?? userInfo().username;
  const methods = await authMethods(ssh, username);
  const client = new Client();
  let refusal: EngineError | undefined;
  return await new Promise<Client>((resolve, reject) => {
    const onAbort = (): void => {
      client.destroy();
      reject(new EngineError('cancelled', `Connecting to ${ssh.host} was cancelled.`));
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    client.on('ready', () => {
      signal?.removeEventListener('abort', onAbort);
      resolve(client);
    });
    client.on('error', (error) => {
      signal?.removeEventListener('abort', onAbort);
      reject(refusal ?? loginError(ssh, error));
    });
    client.connect({
      host: ssh.host,
      port: ssh.port ?? 22,
      username,
      readyTimeout: READY_TIMEOUT_MS,
      keepaliveInterval: 5000,
      hostVerifier: (key: Buffer, verify: (valid: boolean) => void) => {
        const check = async (): Promise<void> => {
          try {
            refusal = await checkHostKey(ssh, key);
          } catch (error) {
            refusal = new EngineError('host.unavailable', `The ssh host key of ${ssh.host} could not be checked.`, { cause: error });
          }
          verify(refusal === undefined);
        };
        drop(check(), silentLog, 'Checking a host key');
      },
      authHandler: (_left, _partial, next) => {
        const offer = async (): Promise<void> => {
          // ssh2 gives up on false, which its types leave out.
          next((await methods.shift()?.()) ?? (false as unknown as AnyAuthMethod));
        };
        drop(offer(), silentLog, 'Logging in');
      },
    });
  });
}

function loginError(ssh: SshTarget, error: Error & { readonly level?: string }): EngineError {
  const { host } = ssh;
  if (error.level === 'client-authentication') {
    return new EngineError('host.denied', `${host} refuses the login by ssh.`, {
      hint: `Put your key into its authorized_keys, or name one with ?keyfile=.`,
      details: { host },
      cause: error,
    });
  }
  return new EngineError('host.unavailable', `No connection to ${host} by ssh: ${error.message}.`, {
    hint: 'Check the name of the machine, and that its ssh server runs.',
    details: { host },
    cause: error,
  });
}

/** Forwards to the first socket that the server opens. */
async function forward(client: Client, ssh: SshTarget, sockets: readonly string[]): Promise<Duplex> {
  let last: Error | undefined;
  for (const socket of sockets) {
    try {
      return await new Promise<Duplex>((resolve, reject) => {
        client.openssh_forwardOutStreamLocal(socket, (error, channel) => {
          if (error === undefined) resolve(channel);
          else reject(error);
        });
      });
    } catch (error) {
      last = error as Error;
    }
  }
  throw new EngineError('host.unavailable', `The ssh server of ${ssh.host} does not lead to libvirt's socket ${sockets.join(' or ')}.`, {
    // The server says no more than "open failed".
    hint: 'Check that libvirt runs there, that the user may use its socket (group libvirt), and that sshd has AllowStreamLocalForwarding.',
    details: { host: ssh.host },
    cause: last,
  });
}

/**
 * Connects by ssh2, which needs no program on either side, but the server has to forward to unix sockets. Logs in by agent, key or password;
 * of the user's ssh configuration only known_hosts is read. `host.denied` (host key, login), `host.unavailable` or `cancelled`.
 */
export async function connectByBuiltInSsh(target: LibvirtTarget, ssh: SshTarget, signal: AbortSignal | undefined): Promise<SshLine> {
  if (target.name.endsWith('///session') && ssh.helper) {
    throw new EngineError('input.invalid', `The built-in ssh client cannot find the session's socket on ${ssh.host}.`, {
      hint: 'Name it with ?socket=/run/user/UID/libvirt/libvirt-sock, or use qemu+ssh://.',
    });
  }
  const client = await logIn(ssh, signal);
  try {
    const stream = await forward(client, ssh, target.sockets);
    stream.on('close', () => client.end());
    // After the log-in a lost connection closes the channel.
    client.on('error', () => stream.destroy());
    return {
      stream,
      failure: async () =>
        await Promise.resolve(
          new EngineError('host.unavailable', `libvirt on ${ssh.host} closed the connection.`, { details: { host: ssh.host } }),
        ),
    };
  } catch (error) {
    client.end();
    throw error;
  }
}
