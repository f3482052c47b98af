import type { Duplex } from 'node:stream';

export interface ShellRequest {
  readonly vm: string;
  /** Run this instead of a login shell. */
  readonly command?: string;
  /** A pseudo terminal of this size; default: plain pipes. */
  readonly pty?: { readonly columns: number; readonly rows: number; readonly term?: string };
  readonly signal?: AbortSignal | undefined;
  /** Called with what is being waited for ("waiting for ssh on 192.168.200.2 (12 s)"). */
  readonly onWait?: (message: string) => void;
}

export interface ExecRequest {
  readonly vm: string;
  /** A command line for the guest's shell. */
  readonly command: string;
  /** Sent to its stdin, which is then closed. */
  readonly input?: string | Uint8Array;
  readonly signal?: AbortSignal | undefined;
  readonly onWait?: (message: string) => void;
  readonly onStdout?: (chunk: Buffer) => void;
  readonly onStderr?: (chunk: Buffer) => void;
  /** Bytes kept of each output, the last ones. Default 1 MiB. */
  readonly maxOutput?: number;
}

/** How to open a serial console. */
export interface ConsoleOptions {
  /** Lines of earlier output to begin with; default none. */
  readonly lines?: number;
  readonly signal?: AbortSignal | undefined;
}

/** An interactive or one-shot ssh session in a VM. */
export interface ShellSession extends AsyncDisposable {
  /** stdin and stdout (with a pty: both directions of the terminal). */
  readonly stream: Duplex;
  /** Only without a pty. */
  readonly stderr: NodeJS.ReadableStream | undefined;
  resize(columns: number, rows: number): void;
  /** Resolves when the remote side has ended: its exit status, or 128 + signal. */
  readonly exit: Promise<number>;
}
