/** The servers that offer the same files, the best one first. */
export interface Mirrors {
  /** How many there are. */
  readonly count: number;
  /** The one to ask next: with the fewest failures in a row, of these the first. */
  best(): Mirror;
}

export interface Mirror {
  /** Ends in a slash. */
  readonly url: string;
  failed(): void;
  succeeded(): void;
}

/** Mirrors in order of preference. */
export function createMirrors(urls: readonly string[]): Mirrors {
  const mirrors = [...new Set(urls.map((url) => (url.endsWith('/') ? url : `${url}/`)))].map((url) => {
    let failures = 0;
    return {
      url,
      failures: () => failures,
      failed: () => void failures++,
      succeeded: () => {
        failures = 0;
      },
    };
  });
  return {
    count: mirrors.length,
    best() {
      const [first, ...others] = mirrors;
      if (first === undefined) throw new Error('There is no mirror.');
      return others.reduce((best, one) => (one.failures() < best.failures() ? one : best), first);
    },
  };
}

/** A server without others, or the address of one file. */
export function oneMirror(url: string): Mirrors {
  return { count: 1, best: () => ({ url, failed: () => undefined, succeeded: () => undefined }) };
}

/** The address of a file below a mirror. Locations are names of files, in which `?` and `#` mean nothing. */
export function urlBelow(mirror: string, location: string): URL {
  return new URL(location.replaceAll('#', '%23').replaceAll('?', '%3F'), mirror);
}
