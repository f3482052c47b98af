import { useEffect, useState } from 'react';

const MINUTE = 60_000;

/** ms until a span of this length reads differently: by the second in its first minute, then by the minute. */
export function untilNextReading(elapsed: number): number {
  const unit = elapsed < MINUTE ? 1_000 : MINUTE;
  return unit - (Math.max(0, elapsed) % unit);
}

/**
 * How long ago `since` (ms since the epoch) is in ms, renewed when `formatUptime` of it changes and not more often: a window that shows
 * VMs which have been running for long does nothing.
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
