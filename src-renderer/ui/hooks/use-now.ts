import { useEffect, useState } from 'react';

/** The current time in ms, updated every `interval` ms while `ticking`. */
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

/** The current time in ms, updated only once, when `then` (ms since the epoch) has passed. */
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
