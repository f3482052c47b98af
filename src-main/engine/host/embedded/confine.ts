import { readFileSync, readlinkSync } from 'node:fs';
import { isIP } from 'node:net';
import { EngineError } from '../../../../src-shared/errors.ts';
import { readOptional } from '../../core/process-identity.ts';

/**
 * Confined runs (`LAGO_CONFINED=1`, all tests): nothing may be sent from the machine's own network, except to itself. Inside a network
 * namespace without a way out everything is allowed.
 */
export interface Confinement {
  /** False when this process must not send anything through its own network. */
  readonly mayLeave: () => boolean;
  /** Throws `host.denied` when a direct connection to `address` could leave through the machine's own network. */
  checkDial(address: string): void;
  /** Throws `host.denied` when `what` would run in the machine's own network. */
  check(what: string): void;
}

/** The facts behind the decision; read from /proc unless given (tests). */
export interface NetworkFacts {
  /** Network namespace of this process and of the machine's first process; undefined when unreadable. */
  readonly own: string | undefined;
  readonly machine: string | undefined;
  /** Whether the own namespace has any IPv4 or IPv6 default route. */
  readonly defaultRoute: boolean;
}

/** The confinement of this process. Without `LAGO_CONFINED=1` everything is allowed. */
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

/** True in a network namespace that is provably not the machine's and has no default route. */
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

/** Used when the first process hides its namespaces: the first kernel thread is always in the machine's. */
function kernelNamespace(): string | undefined {
  const stat = readOptional('/proc/2/stat');
  const flags = Number(stat?.slice(stat.lastIndexOf(') ') + 2).split(' ')[6]);
  return (flags & PF_KTHREAD) === 0 ? undefined : namespaceOf('2');
}

function readRoutes(table: 'route' | 'ipv6_route'): string {
  try {
    return readFileSync(`/proc/self/net/${table}`, 'utf8');
  } catch (error) {
    // A kernel without IPv6 lacks this table.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

const RTF_REJECT = 0x200;

/** Whether /proc/net/route or /proc/net/ipv6_route have a usable default route (ignoring the kernel's own reject entries). */
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
