import { spawn } from 'node:child_process';
import type { ServerChannel } from 'ssh2';

/** Runs a fake guest's command on this machine as an ssh server does: without a terminal, in a session of its own. */
export function runLocally(channel: ServerChannel, command: string | undefined): void {
  const child = spawn('sh', ['-c', command ?? 'exit 0'], { detached: true });
  child.stdout.on('data', (chunk: Buffer) => channel.write(chunk));
  child.stderr.on('data', (chunk: Buffer) => channel.stderr.write(chunk));
  child.stdin.on('error', () => undefined); // it ended without reading all
  channel.on('data', (chunk: Buffer) => child.stdin.write(chunk));
  channel.on('end', () => child.stdin.end());
  // As OpenSSH: the status is sent at once, the channel stays open while somebody holds the pipes.
  child.on('exit', (code, signal) => {
    if (code === null) channel.exit(signal ?? 'KILL');
    else channel.exit(code);
  });
  child.on('close', () => channel.end());
}
