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

/** The present time in ms, renewed once `then` (ms since the epoch) has passed and not before: nothing ticks for it. */
export function useNowUntil(then: number): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    setNow(Date.now());
    const left = then - Date.now();
    if (left < 0) return undefined;
    const timer = setTimeout(() => setNow(Date.now()), left + 1);
    return () => clearTimeout(timer);
  }, [then]);
  return now;
}
