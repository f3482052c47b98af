import { useEffect, useRef } from 'react';
import type { WireError } from '../../src-shared/errors.ts';
import type { PrefixState } from '../../src-shared/state.ts';
import { useConnection, usePrefixes } from '../live-cache.ts';

/** A crashed VM that has not been reported yet. */
export interface FreshCrash {
  readonly key: string;
  readonly title: string;
  readonly error: WireError;
}

/** The crashes in these environments whose keys are not in `told`. A VM that crashes again has a new key. */
export function freshCrashes(prefixes: readonly PrefixState[], told: ReadonlySet<string>): readonly FreshCrash[] {
  return prefixes.flatMap((prefix) =>
    prefix.vms.flatMap(({ name, crash }) => {
      if (crash === null) return [];
      const key = `${prefix.id}/${name}/${crash.at}`;
      if (told.has(key)) return [];
      const error: WireError = {
        code: 'vm.not-running',
        message: crash.reason,
        hint: 'Start it again, or revert to a snapshot.',
        details: crash.lines.length === 0 ? {} : { 'QEMU’s last lines': crash.lines.join('\n') },
      };
      return [{ key, title: `VM ${name} of ${prefix.name} crashed`, error }];
    }),
  );
}

/** Shows a notice for each crash, once per run of the window. */
export function useCrashNotices(notify: (title: string, error: WireError) => void): void {
  const prefixes = usePrefixes();
  const connected = useConnection().status === 'connected';
  const told = useRef<Set<string>>(new Set());
  useEffect(() => {
    // State remembered from an earlier run is not news.
    if (prefixes === undefined || !connected) return;
    const present = new Set(
      prefixes.flatMap(({ id, vms }) => vms.flatMap(({ name, crash }) => (crash ? [`${id}/${name}/${crash.at}`] : []))),
    );
    const fresh = freshCrashes(prefixes, told.current);
    // Dropping past crashes lets a VM whose crashes have no time be reported again.
    told.current = present;
    for (const { title, error } of fresh) notify(title, error);
  }, [prefixes, connected, notify]);
}
