import type { Duplex } from 'node:stream';
import type { RunOptions, RunResult } from '../core/run.ts';

/**
 * Where an environment's VMs and networks live. The kinds differ only in libvirt's URI, `dial`, `listen` and `run`, which everything above
 * uses.
 */
export interface Host {
  readonly kind: 'embedded' | 'system' | 'remote';
  /** libvirt URI with the socket in it: `qemu:///system?socket=/run/...`. */
  readonly uri: string;
  /** How guests run here, determined by booting one (or set by configuration). */
  readonly accelerator: 'kvm' | 'tcg';
  /** How guests reach the outside world. */
  readonly uplink: 'none' | 'pasta' | 'slirp4netns';
  /** dnsmasq must keep running as root with an empty group (only uid 0 is mapped). */
  readonly dnsmasqAsRoot: boolean;
  /** Folder for the VMs' VNC sockets, with a path short enough for a unix socket's 108 bytes. */
  readonly socketDir: string;
  /** A path on this machine that leads to a unix socket of the host; without this function they are on this machine. */
  readonly nearSocket?: (path: string, signal?: AbortSignal) => Promise<string>;
  /** The logs that programs of the host write; without it they are files of this machine. */
  readonly logs?: HostLogs;
  /**
   * Opens a TCP connection to an address on the environment's networks. Rejects with `guest.unreachable` (refused, no route, timeout) or
   * `host.unavailable` when the host is gone. In confined runs it never connects from the machine's own network.
   */
  dial(
    address: string,
    port: number,
    options?: { readonly timeoutMs?: number; readonly signal?: AbortSignal | undefined },
  ): Promise<Duplex>;
  /** Listens on an address of the environment's networks (a gateway); each connection arrives as a stream. */
  listen(address: string, port: number, onConnection: (stream: Duplex) => void): Promise<AsyncDisposable>;
  /** Runs a program inside the environment's network. */
  run(argv: readonly string[], options?: RunOptions): Promise<RunResult>;
  /** Whether the daemon of a pid file of the host lives, seen without running a program; undefined where that cannot be seen. */
  readonly daemonLives?: ((pidFile: string) => boolean | undefined) | undefined;
}

/** A place in a log that stays valid when the file is rotated. */
export interface LogPosition {
  readonly inode: number;
  readonly offset: number;
}

/** Reads logs of an environment, named by their paths on this machine, where they are on another one. */
export interface HostLogs {
  /** The last `bytes` of a log, also of the file before its rotation, and where it ends. Undefined where there is none. */
  tail(path: string, bytes: number): Promise<{ readonly bytes: Buffer; readonly end: LogPosition } | undefined>;
  /** What is added after a place in it, until `signal` aborts. */
  follow(path: string, from: LogPosition | undefined, signal: AbortSignal): AsyncGenerator<Buffer, void>;
}

/** What is needed to start or find a host on another machine. */
export interface RemoteHostSpec {
  /** The prefix's uuid: the host's identity. */
  readonly id: string;
  /** The prefix's folder on this machine; its files have the same paths in the host. */
  readonly prefix: string;
  /** `ssh://user@machine`. */
  readonly uri: string;
  readonly uplink: 'auto' | 'none';
  readonly accelerator: 'auto' | 'kvm' | 'tcg';
}

export interface RemoteHost extends Host {
  readonly kind: 'remote';
  /** pid of its first process on that machine. */
  readonly pid: number;
}

/** What is needed to start or find an embedded host. */
export interface EmbeddedHostSpec {
  /** The prefix's uuid: the host's identity. */
  readonly id: string;
  /** Folder for libvirt's own state and logs (below the prefix). */
  readonly stateDir: string;
  readonly uplink: 'auto' | 'none';
  readonly accelerator: 'auto' | 'kvm' | 'tcg';
}

export interface EmbeddedHost extends Host {
  readonly kind: 'embedded';
  /** pid of the cell's first process as seen from outside; killing it ends the whole environment. */
  readonly pid: number;
  /** Ends all its processes and removes its runtime folder. Idempotent. */
  stop(): Promise<void>;
}
