import type { Ending } from './lago.ts';
import type { Random } from './random.ts';

/** How long verbs take here and how many kill points they have: measured, and corrected when kills come too late. */
export class Endings {
  readonly #usualMs = new Map<string, number>();
  readonly #points = new Map<string, number>();

  /** Assumed duration of a verb that was not measured yet, ms. */
  static readonly #FIRST_MS = 2000;
  static readonly #FIRST_POINTS = 24;

  draw(verb: string, random: Random): Ending {
    const share = random.next();
    if (random.chance(0.5)) return { point: 1 + Math.floor(share * (this.#points.get(verb) ?? Endings.#FIRST_POINTS)) };
    // Starting Node takes the first 100 ms.
    const afterMs = Math.round(100 + share * ((this.#usualMs.get(verb) ?? Endings.#FIRST_MS) - 100));
    const signal = random.chance(0.7) ? 'SIGKILL' : 'SIGINT';
    return { afterMs, signal, againMs: signal === 'SIGINT' && random.chance(0.5) ? random.between(1, 300) : undefined };
  }

  /** The verb ended before the kill, so later kills come earlier. */
  tooLate(verb: string, ending: Ending, ms: number): void {
    if ('point' in ending) this.#points.set(verb, Math.max(1, ending.point - 1));
    else this.#usualMs.set(verb, Math.max(200, ms));
  }
}
