import type { Issue } from '../../../../src-shared/issue.ts';

/** A position in a text, counting from 1; 0 means the whole file. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

export const WHOLE_FILE: Place = { line: 0, column: 0 };

/** More than anybody reads; a hostile file could have one in each byte. */
const MAX_ISSUES = 200;
const RANK = { error: 0, warning: 1, info: 2 };

/** Collects the issues of one file. `path` is SECTION, or SECTION.KEY. */
export class FileIssues {
  readonly file: string;
  readonly #found: Issue[] = [];
  readonly #known = new Set<string>();

  constructor(file: string) {
    this.file = file;
  }

  /** In the order of the text, each once; of too many the worst. */
  get all(): Issue[] {
    const kept =
      this.#found.length <= MAX_ISSUES
        ? this.#found
        : this.#found.toSorted((left, right) => RANK[left.severity] - RANK[right.severity]).slice(0, MAX_ISSUES);
    return kept.toSorted((left, right) => left.line - right.line || left.column - right.column);
  }

  error(place: Place, path: string, message: string, hint?: string): void {
    this.#add('error', place, path, message, hint);
  }

  warning(place: Place, path: string, message: string, hint?: string): void {
    this.#add('warning', place, path, message, hint);
  }

  info(place: Place, path: string, message: string, hint?: string): void {
    this.#add('info', place, path, message, hint);
  }

  #add(severity: Issue['severity'], { line, column }: Place, path: string, message: string, hint: string | undefined): void {
    const identity = `${line}:${column} ${message}`;
    if (this.#known.has(identity)) return;
    this.#known.add(identity);
    this.#found.push({ file: this.file, line, column, path, severity, message, ...(hint === undefined ? {} : { hint }) });
  }
}
