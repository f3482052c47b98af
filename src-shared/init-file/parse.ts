import type { z } from 'zod';
import type { Issue } from '../issue.ts';
import { nearest } from '../nearest.ts';
import type { SnapshotKeep } from '../snapshot/snapshot-keep.ts';
import { readJsonSource } from './json-source.ts';
import { quote } from './name-rules.ts';
import { applyPrototypes } from './prototypes.ts';
import { type Pruned, prune } from './prune.ts';
import { adviceOf, unknownKeys } from './review.ts';
import { type DomainDefinition, InitFileSchema, type NetDefinition, type ReposDefinition } from './schema.ts';
import {
  entryOf,
  formatPath,
  lineIndex,
  offsetOf,
  type PathKey,
  type Place,
  type SourceEntry,
  type SourceMap,
  type SourceNode,
  type SourceProblem,
  valueOf,
} from './source.ts';
import { blamePlaceholder, jinjaProblems, placeholderProblems } from './templated.ts';
import { readYamlSource } from './yaml-source.ts';

/** Maximum length of a text, in characters. The largest real init file has 14,000. */
export const MAX_INIT_FILE = 262_144;
const MAX_ISSUES = 200;

/** A checked init file: prototypes are merged in, loose values are normalised, keys keep the order of the text. */
export interface InitFile {
  /** The name under which it was parsed, for issues. */
  readonly file: string;
  /** By name. Use `domainNames` for the order of the text: JavaScript moves names like "12" to the front. */
  readonly domains: Readonly<Record<string, DomainDefinition>>;
  readonly nets: Readonly<Record<string, NetDefinition>>;
  readonly domainNames: readonly string[];
  readonly netNames: readonly string[];
  readonly snapshotKeep: SnapshotKeep | undefined;
  readonly repos: ReposDefinition | undefined;
  /** The position of a path in the text, or of its deepest part that exists. */
  locate(path: readonly PathKey[]): Place;
}

/** The parts of a file that have no errors, for further checks. Never create anything from it. */
export interface PartialInitFile extends Pick<Pruned, 'hides'> {
  readonly init: InitFile;
}

export interface ParseResult {
  /** Undefined exactly when `issues` has an error. */
  readonly value?: InitFile;
  /** Present when there are errors, unless the text as a whole cannot be read: for finding further errors. */
  readonly partial?: PartialInitFile;
  /** In the order of the text, without duplicates, at most 200. */
  readonly issues: readonly Issue[];
}

/**
 * Reads an init file: JSON, else YAML 1.1 as PyYAML reads it. Reports all problems at once with their positions. Never throws, and takes
 * bounded time and memory for any text. Unknown keys are warnings.
 */
export function parseInitFile(text: string, fileName: string): ParseResult {
  if (text.length > MAX_INIT_FILE) {
    const size = `The file has ${text.length} characters; an init file has at most ${MAX_INIT_FILE}.`;
    return { issues: [{ file: fileName, line: 0, column: 0, path: '', severity: 'error', message: size }] };
  }
  const reader = new Reader(text.startsWith('\uFEFF') ? text.slice(1) : text, fileName);
  const value = reader.read();
  const issues = reader.issues();
  if (value !== undefined && issues.every((issue) => issue.severity !== 'error')) return { value, issues };
  const partial = reader.partial();
  return partial === undefined ? { issues } : { partial, issues };
}

class Reader {
  readonly #text: string;
  readonly #file: string;
  readonly #place: (offset: number) => Place;
  readonly #issues: (Issue & { readonly offset: number })[] = [];
  #document: SourceMap | undefined;

  constructor(text: string, file: string) {
    this.#text = text;
    this.#file = file;
    this.#place = lineIndex(text);
  }

  issues(): Issue[] {
    const seen = new Set<string>();
    const unique = this.#issues.filter((issue) => {
      const id = `${issue.offset} ${issue.message}`;
      return !seen.has(id) && seen.add(id) !== undefined;
    });
    const rank = { error: 0, warning: 1, info: 2 };
    const kept =
      unique.length <= MAX_ISSUES
        ? unique
        : unique.toSorted((left, right) => rank[left.severity] - rank[right.severity]).slice(0, MAX_ISSUES);
    return kept.toSorted((left, right) => left.offset - right.offset).map(({ offset: _, ...issue }) => issue);
  }

  read(): InitFile | undefined {
    const root = this.#source();
    if (root === undefined) return undefined;
    for (const problem of placeholderProblems(root)) this.#report(problem, []);
    if (root.kind !== 'map') {
      this.#report({ offset: root.offset, severity: 'error', message: 'An init file is a mapping with the keys domains and nets.' }, []);
      return undefined;
    }
    const { document, complete } = this.#prepare(root);
    this.#document = document;
    for (const found of unknownKeys(InitFileSchema, document)) this.#report(found.problem, found.path);
    for (const found of adviceOf(document)) this.#report(found.problem, found.path);
    const raw = valueOf(document);
    const parsed = InitFileSchema.safeParse(raw);
    if (!parsed.success) {
      for (const issue of parsed.error.issues) {
        // Missing top-level keys have been reported already.
        if (complete || issue.path.length > 1 || entryOf(document, String(issue.path[0])) !== undefined)
          this.#reportSchema(document, issue);
      }
      return undefined;
    }
    return complete ? this.#initFile(document, raw, parsed.data) : undefined;
  }

  /** The document without its erroneous parts; undefined when nothing valid is left. */
  partial(): PartialInitFile | undefined {
    if (this.#document === undefined) return undefined;
    const kept = this.#document;
    // A missing top-level key is reported at the file's beginning, whose content is valid: do not prune it.
    const errors = this.#issues.filter(
      (issue) => issue.severity === 'error' && (!FRAME.has(issue.path) || entryOf(kept, issue.path) !== undefined),
    );
    const { document, hides } = prune(kept, new Set(errors.map((issue) => issue.offset)));
    const raw = valueOf(document);
    const parsed = InitFileSchema.safeParse(raw);
    return parsed.success ? { init: this.#initFile(document, raw, parsed.data), hides } : undefined;
  }

  #initFile(document: SourceMap, raw: unknown, data: z.infer<typeof InitFileSchema>): InitFile {
    const value = inOrderOf(raw, data) as z.infer<typeof InitFileSchema>;
    const names = (key: string): string[] => {
      const node = entryOf(document, key)?.node;
      return node?.kind === 'map' ? node.entries.map((entry) => entry.key) : [];
    };
    return {
      file: this.#file,
      domains: value.domains,
      nets: value.nets,
      domainNames: names('domains'),
      netNames: names('nets'),
      snapshotKeep: value['snapshot-keep'],
      repos: value.repos,
      locate: (path) => this.#place(offsetOf(document, path)),
    };
  }

  #source(): SourceNode | undefined {
    const nul = this.#text.indexOf('\0');
    if (nul !== -1) {
      this.#report({ offset: nul, severity: 'error', message: 'This is not a text file.', hint: 'An init file is JSON or YAML.' }, []);
      return undefined;
    }
    const looksLikeJson = /^\s*[{[]/.test(this.#text);
    const json = looksLikeJson ? readJsonSource(this.#text) : undefined;
    const found = json?.root !== undefined ? json : readYamlSource(this.#text);
    if (found.root !== undefined) {
      for (const problem of found.problems) this.#report(problem, []);
      return found.root;
    }
    const jinja = jinjaProblems(this.#text);
    for (const problem of jinja.length > 0 ? jinja : (json ?? found).problems) this.#report(blamePlaceholder(this.#text, problem), []);
    return undefined;
  }

  /** Checks the top-level keys and merges prototypes; not complete when a required top-level key is missing. */
  #prepare(root: SourceMap): { readonly document: SourceMap; readonly complete: boolean } {
    const entries: SourceEntry[] = [];
    let complete = true;
    for (const key of ['domains', 'nets', 'prototypes', 'snapshot-keep', 'repos'] as const) {
      const entry = entryOf(root, key);
      if (entry === undefined || (entry.node.kind === 'scalar' && entry.node.value === null)) {
        if (!FRAME.has(key)) continue;
        const meant = nearest(
          key,
          root.entries.map((other) => other.key),
        );
        const hint =
          entry === undefined && meant !== undefined
            ? `Did you mean ${key} instead of ${quote(meant)}?`
            : `Add ${key}: with at least one entry.`;
        this.#report({ offset: entry?.keyOffset ?? root.offset, severity: 'error', message: `The file has no ${key}.`, hint }, [key]);
        complete = false;
      } else if (entry.node.kind === 'map' && entry.node.entries.length === 0 && FRAME.has(key)) {
        this.#report(
          { offset: entry.keyOffset, severity: 'error', message: `The mapping ${key} is empty.`, hint: `Add at least one entry.` },
          [key],
        );
        complete = false;
      } else entries.push({ ...entry, node: this.#withoutNulls(entry.node, [key]) });
    }
    const domains = entries.find((entry) => entry.key === 'domains');
    if (domains?.node.kind === 'map') {
      const prototypes = entries.find((entry) => entry.key === 'prototypes')?.node;
      const merged = applyPrototypes(domains.node, prototypes);
      for (const problem of merged.problems) this.#report(problem, ['domains']);
      entries[entries.indexOf(domains)] = { ...domains, node: merged.domains };
    }
    return { document: { kind: 'map', entries, offset: root.offset }, complete };
  }

  /** Treats a key without a value as absent, without a warning for `comment:`; free-form data keeps its nulls. */
  #withoutNulls(node: SourceNode, path: readonly PathKey[]): SourceNode {
    if (node.kind === 'list') return { ...node, items: node.items.map((item, index) => this.#withoutNulls(item, [...path, index])) };
    if (node.kind !== 'map') return node;
    const entries: SourceEntry[] = [];
    for (const entry of node.entries) {
      const here = [...path, entry.key];
      // zod would drop this key silently.
      if (entry.key === '__proto__')
        this.#report({ offset: entry.keyOffset, severity: 'error', message: '"__proto__" cannot be a key or a name.' }, here);
      if (path.length >= 2 && entry.node.kind === 'scalar' && entry.node.value === null) {
        if (entry.key !== 'comment') {
          this.#report(
            {
              offset: entry.keyOffset,
              severity: 'warning',
              message: 'The key has no value and counts as absent.',
              hint: 'Give it a value or remove it.',
            },
            here,
          );
        }
      } else if (FREE_DATA.has(entry.key)) entries.push(entry);
      else entries.push({ ...entry, node: this.#withoutNulls(entry.node, here) });
    }
    return { ...node, entries };
  }

  #report(problem: SourceProblem, path: readonly PathKey[]): void {
    const { line, column } = this.#place(problem.offset);
    const hint = problem.hint === undefined ? {} : { hint: problem.hint };
    this.#issues.push({
      file: this.#file,
      line,
      column,
      path: formatPath(path),
      severity: problem.severity,
      message: problem.message,
      ...hint,
      offset: problem.offset,
    });
  }

  #reportSchema(root: SourceNode, issue: z.core.$ZodIssue): void {
    const path = issue.path.map((key) => (typeof key === 'symbol' ? String(key) : key));
    const inner = issue.code === 'invalid_key' ? issue.issues[0] : issue;
    const params: unknown = inner !== undefined && 'params' in inner ? inner.params : undefined;
    const hint = typeof params === 'object' && params !== null && 'hint' in params ? { hint: String(params.hint) } : {};
    this.#report({ offset: offsetOf(root, path), severity: 'error', message: inner?.message ?? issue.message, ...hint }, path);
  }
}

const FRAME: ReadonlySet<string> = new Set(['domains', 'nets']);
const FREE_DATA: ReadonlySet<string> = new Set(['metadata', 'cpu_custom', 'cloud-init', 'comment', 'build', 'snapshots']);

/** `value` with its mappings' keys in the order of `model`. */
function inOrderOf(model: unknown, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item, index) => inOrderOf(Array.isArray(model) ? model[index] : undefined, item));
  if (!isRecord(value) || !isRecord(model)) return value;
  const ordered: Record<string, unknown> = {};
  for (const key of [...Object.keys(model), ...Object.keys(value)]) {
    if (Object.hasOwn(value, key) && key !== '__proto__') ordered[key] = inOrderOf(model[key], value[key]);
  }
  return ordered;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
