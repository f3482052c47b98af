import { useEffect, useState } from 'react';

const MINUTE = 60_000;

/** ms until `formatUptime` of this duration changes: each second in its first minute, then each minute. */
export function untilNextReading(elapsed: number): number {
  const unit = elapsed < MINUTE ? 1_000 : MINUTE;
  return unit - (Math.max(0, elapsed) % unit);
}

/**
 * Time since `since` (ms since the epoch) in ms, updated only when its `formatUptime` changes, so that a window whose VMs have been
 * running for long stays idle.
 */
export function useUptime(since: number | null): number {
  const [now, setNow] = useState(() => Date.now());
  const elapsed = since === null ? 0 : now - since;
  useEffect(() => {
    if (since === null) return undefined;
    let timer: ReturnType<typeof setTimeout>;
    function renew(): void {
      const present = Date.now();
      setNow(present);
      timer = setTimeout(renew, untilNextReading(present - (since ?? present)));
    }
    renew();
    return () => clearTimeout(timer);
  }, [since]);
  return elapsed;
}
