import { EngineError } from '../../../../../src-shared/errors.ts';
import { at, textAt } from './engine-client.ts';

/** What one host says of the engine's VM. */
export interface HostedHost {
  /** Its name, without a domain. */
  readonly host: string;
  /** State of the engine's VM on this host: `up`, `down`. */
  readonly vm: string;
  /** `good` when the engine in it answers. */
  readonly health: string;
  readonly detail: string;
  /** How fit the host is to run it; 3400 is the best. */
  readonly score: number;
}

/** What the hosts know of a hosted engine. */
export interface HostedStatus {
  /** Nobody starts or moves the engine's VM by itself. */
  readonly globalMaintenance: boolean;
  readonly hosts: readonly HostedHost[];
}

/** Reads what `hosted-engine --vm-status --json` prints. What a host has not told lately counts as unknown. */
export function parseHostedStatus(text: string): HostedStatus {
  const said = asJson(text);
  if (typeof said !== 'object' || said === null) {
    throw new EngineError('remote.invalid', `hosted-engine does not tell its status as JSON: ${text.trim().slice(0, 100)}`);
  }
  const numbered = Object.entries(said).filter(([key]) => /^\d+$/.test(key));
  return {
    globalMaintenance: at(said, 'global_maintenance') === true,
    hosts: numbered.map(([key, host]) => {
      // Until 4.1 this is JSON in a text.
      const told = at(host, 'engine-status');
      const status = typeof told === 'string' ? asJson(told) : told;
      const fresh = at(host, 'live-data') !== false;
      const word = (name: string): string => (fresh ? textAt(status, name)?.toLowerCase() : undefined) ?? 'unknown';
      return {
        host: (textAt(host, 'hostname') ?? key).split('.')[0] ?? key,
        vm: word('vm'),
        health: word('health'),
        detail: word('detail'),
        score: Number(textAt(host, 'score') ?? 0),
      };
    }),
  };
}

function asJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The host on which the engine's VM runs. */
export function runningOn({ hosts }: HostedStatus): HostedHost | undefined {
  return hosts.find(({ vm }) => vm === 'up');
}

/** What `lago ovirt status` shows of it. */
export function hostedSummary(status: HostedStatus): object {
  const running = runningOn(status);
  return {
    vm: running?.vm ?? 'down',
    health: running?.health ?? 'bad',
    host: running?.host ?? null,
    global_maintenance: status.globalMaintenance,
    hosts: Object.fromEntries(status.hosts.map(({ host, ...rest }) => [host, rest])),
  };
}
