import { EngineError } from '../../../src-shared/errors.ts';
import type { PipeEnd } from './pipe.ts';

/** ssh's exit code for failures of its own. */
export const SSH_FAILED = 255;

/** Why the system's ssh program did not reach or enter `host`, from its words; undefined when the far side's program failed instead. */
export function sshProblem(host: string, { code, stderr }: PipeEnd): EngineError | undefined {
  const details = { host, exit: code ?? 'killed', stderr: stderr.slice(-2000) };
  if (/REMOTE HOST IDENTIFICATION HAS CHANGED/.test(stderr)) {
    return new EngineError('host.denied', `The ssh host key of ${host} is not the known one: it may be another machine.`, {
      hint: `Find out why. If the machine was installed anew, forget its key with: ssh-keygen -R ${host}`,
      details,
    });
  }
  if (/Host key verification failed|No .* host key is known/.test(stderr)) {
    return new EngineError('host.denied', `The ssh host key of ${host} is not known yet.`, {
      hint: `Connect once with "ssh ${host}" and compare the key, or put it into known_hosts.`,
      details,
    });
  }
  if (/Permission denied \(|Too many authentication failures/.test(stderr)) {
    return new EngineError('host.denied', `${host} refuses the login by ssh.`, {
      hint: `Check that "ssh ${host} true" works without a password: put your key into its authorized_keys.`,
      details,
    });
  }
  if (code !== SSH_FAILED) return undefined;
  const lines = stderr.split('\n').map((line) => line.trim());
  const last = lines.filter((line) => line !== '').at(-1) ?? 'no reason was given';
  return new EngineError('host.unavailable', `No connection to ${host} by ssh: ${last.replace(/\.$/, '')}.`, {
    hint: `Check that "ssh ${host} true" works.`,
    details,
  });
}

/** A word for a POSIX shell. */
export function shellWord(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
