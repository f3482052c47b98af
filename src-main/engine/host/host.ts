import type { Duplex } from 'node:stream';
import type { RunOptions, RunResult } from '../core/run.ts';

/**
 * Where an environment's VMs and networks live. The kinds differ only in libvirt's URI, `dial`, `listen` and `run`, which everything above
 * uses.
 */
export interface Host {
  readonly kind: 'embedded' | 'system';
  /** libvirt URI with the socket in it: `qemu:///system?socket=/run/...`. */
  readonly uri: string;
  /** How guests run here, determined by booting one (or set by configuration). */
  readonly accelerator: 'kvm' | 'tcg';
  /** How guests reach the outside world. */
  readonly uplink: 'none' | 'pasta' | 'slirp4netns';
  /** dnsmasq must keep running as root with an empty group (only uid 0 is mapped). */
  readonly dnsmasqAsRoot: boolean;
  /** Folder for the VMs' VNC sockets, accessible from both sides, with a path short enough for a unix socket's 108 bytes. */
  readonly socketDir: string;
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
