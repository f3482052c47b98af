import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readSync } from 'node:fs';
import { EngineError } from '../../../src-shared/errors.ts';

/** An agent whose guest is this machine, for tests. */
export interface FakeAgent {
  /** Answers one command, as QEMU's agent does. */
  answer(command: string): string;
  /** Names of the commands that it was given, in order. */
  readonly seen: string[];
  /** Files that are open now. */
  readonly open: ReadonlySet<number>;
}

interface Command {
  readonly execute: string;
  readonly arguments?: {
    readonly path: string;
    readonly arg: readonly string[];
    readonly env: readonly string[];
    readonly pid: number;
    readonly handle: number;
    readonly count: number;
  };
}

const COMMANDS = ['guest-ping', 'guest-exec', 'guest-exec-status', 'guest-file-open', 'guest-file-read', 'guest-file-close'];

/** `without`: commands that its administrator has forbidden. `path` replaces the PATH of the programs that it runs. */
export function createFakeAgent({ without = [], path }: { readonly without?: readonly string[]; readonly path?: string } = {}): FakeAgent {
  const seen: string[] = [];
  const open = new Set<number>();
  const ended = new Map<number, object>();
  const refuse = (execute: string, why: string): never => {
    throw new EngineError('hypervisor.failed', `Asking failed: unable to execute QEMU agent command '${execute}': ${why}`);
  };
  const obey = ({ execute, arguments: args }: Command): unknown => {
    if (execute === 'guest-info') return { supported_commands: COMMANDS.map((name) => ({ name, enabled: !without.includes(name) })) };
    if (!COMMANDS.includes(execute) || without.includes(execute)) return refuse(execute, 'the command has been disabled');
    if (args === undefined) return {};
    switch (execute) {
      case 'guest-exec': {
        const env = Object.fromEntries(args.env.map((entry) => entry.split(/=(.*)/s).slice(0, 2)));
        const { status, stdout, stderr } = spawnSync(args.path, args.arg, {
          cwd: '/',
          env: path === undefined ? env : { ...env, PATH: path },
        });
        const pid = ended.size + 1;
        ended.set(pid, { exited: true, exitcode: status, 'out-data': stdout.toString('base64'), 'err-data': stderr.toString('base64') });
        return { pid };
      }
      case 'guest-exec-status':
        return ended.get(args.pid);
      case 'guest-file-open':
        try {
          const file = openSync(args.path, 'r');
          open.add(file);
          return file;
        } catch (error) {
          const why = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'No such file or directory' : String(error);
          return refuse(execute, `failed to open file '${args.path}' (mode: 'r'): ${why}`);
        }
      case 'guest-file-read': {
        // Less than is asked for, as of a large file.
        const buffer = Buffer.alloc(Math.min(args.count, 10_000));
        let count: number;
        try {
          count = readSync(args.handle, buffer);
        } catch (error) {
          const why = (error as NodeJS.ErrnoException).code === 'EISDIR' ? 'Is a directory' : String(error);
          return refuse(execute, `failed to read file: ${why}`);
        }
        return { count, 'buf-b64': buffer.subarray(0, count).toString('base64'), eof: count === 0 };
      }
      default:
        closeSync(args.handle);
        open.delete(args.handle);
        return {};
    }
  };
  return {
    seen,
    open,
    answer(text) {
      const command = JSON.parse(text) as Command;
      seen.push(command.execute);
      return JSON.stringify({ return: obey(command) });
    },
  };
}
