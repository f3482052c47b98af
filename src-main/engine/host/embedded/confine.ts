import { readFileSync, readlinkSync } from 'node:fs';
import { isIP } from 'node:net';
import { EngineError } from '../../../../src-shared/errors.ts';
import { readOptional } from '../../core/process-identity.ts';

/**
 * Confined runs (`LAGO_CONFINED=1`, all tests): nothing may be sent from the machine's own network, except to itself. What runs in a
 * network namespace without a way out is free.
 */
export interface Confinement {
  /** False when nothing may leave through this process's network. */
  readonly mayLeave: () => boolean;
  /** Throws `host.denied` when a direct connection to `address` could leave through the machine's own network. */
  checkDial(address: string): void;
  /** Throws `host.denied` when `what` would work in the machine's own network. */
  check(what: string): void;
}

/** What the decision rests on; read from /proc unless given (tests). */
export interface NetworkFacts {
  /** Name of this process's network namespace, and that of the machine's first process; undefined when it may not be read. */
  readonly own: string | undefined;
  readonly machine: string | undefined;
  /** Whether any IPv4 or IPv6 default route exists in the own one. */
  readonly defaultRoute: boolean;
}

/** The rule for this process. Without `LAGO_CONFINED=1` nothing is refused. */
export function confinement(environment: NodeJS.ProcessEnv = process.env, facts: () => NetworkFacts = readFacts): Confinement {
  const confined = (): boolean => environment['LAGO_CONFINED'] === '1';
  const mayLeave = (): boolean => !confined() || isShutIn(facts());
  function check(what: string): void {
    if (mayLeave()) return;
    throw new EngineError('host.denied', `${what} is refused: this is a confined run in the machine's own network.`, {
      hint: 'Run it in a network namespace without a default route, or without LAGO_CONFINED.',
    });
  }
  return {
    mayLeave,
    check,
    checkDial(address) {
      if (!isLoopback(address)) check(`A connection to ${address}`);
    },
  };
}

/** True in a network namespace that is provably not the machine's and that no default route leads out of. */
export function isShutIn(facts: NetworkFacts): boolean {
  return facts.own !== undefined && facts.machine !== undefined && facts.own !== facts.machine && !facts.defaultRoute;
}

/** Loopback by number only: a name could resolve to anything. */
export function isLoopback(address: string): boolean {
  if (isIP(address) === 4) return address.startsWith('127.');
  return address === '::1';
}

function readFacts(): NetworkFacts {
  return {
    own: namespaceOf('self'),
    machine: namespaceOf('1') ?? kernelNamespace(),
    defaultRoute: hasDefaultRoute(readRoutes('route'), readRoutes('ipv6_route')),
  };
}

function namespaceOf(pid: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EACCES' || code === 'EPERM' || code === 'ENOENT') return undefined;
    throw error;
  }
}

const PF_KTHREAD = 0x00200000;

/** Where the first process hides its namespaces: that of the first kernel thread, which is the machine's in any case. */
function kernelNamespace(): string | undefined {
  const stat = readOptional('/proc/2/stat');
  const flags = Number(stat?.slice(stat.lastIndexOf(') ') + 2).split(' ')[6]);
  return (flags & PF_KTHREAD) === 0 ? undefined : namespaceOf('2');
}

function readRoutes(table: 'route' | 'ipv6_route'): string {
  try {
    return readFileSync(`/proc/self/net/${table}`, 'utf8');
  } catch (error) {
    // A kernel without IPv6 has no such table.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

const RTF_REJECT = 0x200;

/** Whether /proc/net/route or /proc/net/ipv6_route hold a default route that leads somewhere (not the kernel's own reject entries). */
export function hasDefaultRoute(ipv4: string, ipv6: string): boolean {
  const four = ipv4
    .split('\n')
    .slice(1)
    .some((line) => {
      const fields = line.split('\t');
      return fields[1] === '00000000' && fields[7] === '00000000' && (Number.parseInt(fields[3] ?? '0', 16) & RTF_REJECT) === 0;
    });
  if (four) return true;
  return ipv6.split('\n').some((line) => {
    const fields = line.trim().split(/\s+/);
    if (fields.length < 10 || fields[9] === 'lo') return false;
    return /^0{32}$/.test(fields[0] ?? '') && fields[1] === '00' && (Number.parseInt(fields[8] ?? '0', 16) & RTF_REJECT) === 0;
  });
}
