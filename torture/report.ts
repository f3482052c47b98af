/** Kind of failure: something was left behind, or something of the user's is gone (data, a snapshot, a running VM, a working verb). */
export type Damage = 'leaks' | 'lost';

interface Row {
  kills: number;
  recovered: number;
  leaks: number;
  lost: number;
}

export function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** An expectation failed. `damage` says how it is counted. */
export class Broken extends Error {
  readonly damage: Damage;

  constructor(damage: Damage, message: string) {
    super(message);
    this.damage = damage;
  }
}

/** Throws a `Broken` with this message unless the condition holds. */
export function expectThat(holds: boolean, damage: Damage, message: () => string): void {
  if (!holds) throw new Broken(damage, message());
}

/** Counts attempts and failures; failures are printed at once. */
export class Report {
  kills = 0;
  faults = 0;
  inputs = 0;
  steps = 0;
  leaks = 0;
  lost = 0;
  readonly #seed: number;
  readonly #rows = new Map<string, Row>();

  constructor(seed: number) {
    this.#seed = seed;
  }

  #row(verb: string): Row {
    const row = this.#rows.get(verb) ?? { kills: 0, recovered: 0, leaks: 0, lost: 0 };
    this.#rows.set(verb, row);
    return row;
  }

  /** A verb was killed. */
  killed(verb: string): void {
    this.kills += 1;
    this.#row(verb).kills += 1;
  }

  /** Everything was fine after a kill. */
  recovered(verb: string): void {
    this.#row(verb).recovered += 1;
  }

  /** Counts a failure of an attempt (its number, or the option that repeats it); `verb` is undefined when it did not follow a kill. */
  failed(name: string, attempt: number | `--steps ${number}`, moment: string, error: unknown, verb?: string): void {
    const damage = error instanceof Broken ? error.damage : 'lost';
    this[damage] += 1;
    if (verb !== undefined) this.#row(verb)[damage] += 1;
    const text = error instanceof Broken ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error);
    const again = typeof attempt === 'number' ? `--only ${attempt}` : attempt;
    say(`FAILED (${damage}) ${name} --seed ${this.#seed} ${again}: ${moment}\n    ${text.replaceAll('\n', '\n    ')}`);
  }

  /** The table of docs/reliability.md; empty without kills. */
  table(): string {
    if (this.#rows.size === 0) return '';
    const rows = [...this.#rows].sort(([one], [two]) => one.localeCompare(two));
    const lines = rows.map(([verb, row]) => `| ${verb} | ${row.kills} | ${row.recovered} | ${row.leaks} | ${row.lost} |`);
    return ['| Verb | Kills | Recovered by the next verb | Leaks | Lost |', '|---|---|---|---|---|', ...lines].join('\n');
  }

  line(): string {
    return `torture: kills=${this.kills} faults=${this.faults} inputs=${this.inputs} steps=${this.steps} leaks=${this.leaks} lost=${this.lost}`;
  }
}
