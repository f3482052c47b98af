import { useEffect, useState } from 'react';

/** The present time in ms, renewed each second while `ticking`. One second of accuracy is what elapsed times show. */
export function useNow(ticking = true, interval = 1_000): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    if (!ticking) return undefined;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), interval);
    return () => clearInterval(timer);
  }, [ticking, interval]);
  return now;
}
