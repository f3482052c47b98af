import { cleanText } from '../../src-shared/clean-text.ts';
import { type EngineError, toWireError } from '../../src-shared/errors.ts';
import type { OperationEvent } from '../engine/index.ts';

/** Levels as `--loglevel` names them, most verbose first. */
export type Level = 'debug' | 'info' | 'warning' | 'error';

export interface TaskLogOptions {
  /** Writes to stderr. */
  readonly write: (text: string) => void;
  readonly level: Level;
  /** Nesting levels to show; -1 shows all. */
  readonly depth: number;
  readonly color: boolean;
  readonly format: 'text' | 'json';
  /** Whether stderr is a terminal, where a progress line can be redrawn. */
  readonly terminal: boolean;
  /** Columns of that terminal. */
  readonly columns?: number;
  /** ms since the epoch, for the JSON format. */
  readonly now?: () => number;
}

const RANK: Readonly<Record<Level, number>> = { debug: 0, info: 1, warning: 2, error: 3 };
const INDICATORS = '@#*-~';
const BUFFER = 2000;
const RESET = '\u001b[0m';
const RED = '\u001b[31m';
const GREEN = '\u001b[32m';
const CYAN = '\u001b[36m';
const COLORS: Readonly<Record<Level, string>> = { debug: '', info: CYAN, warning: '\u001b[33m', error: RED };

interface Task {
  readonly label: string;
  readonly worker: string | undefined;
  readonly depth: number;
  readonly parent: Task | undefined;
  headed: boolean;
  failed: boolean;
  /** Hidden lines, kept in case the task fails. */
  readonly buffer: string[];
}

/** `H:MM:SS`. */
export function formatElapsed(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${Math.floor(seconds / 3600)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
}

/**
 * Prints an operation's events as Lago printed its tasks: one line when a task begins and one when it ends, indented by depth. Tasks
 * deeper than `depth` are hidden; their lines are kept and shown if one of them fails.
 */
export class TaskLog {
  readonly #options: TaskLogOptions;
  readonly #tasks = new Map<string, Task[]>();
  #transient = '';

  constructor(options: TaskLogOptions) {
    this.#options = options;
  }

  event(event: OperationEvent): void {
    if (this.#options.format === 'json') {
      this.#jsonEvent(event);
      return;
    }
    switch (event.type) {
      case 'step-start':
        this.#start(event.path, event.worker);
        return;
      case 'step-end':
        this.#end(event);
        return;
      case 'log':
        this.#record(event.path, event.level === 'warn' ? 'warning' : event.level, event.message);
    }
  }

  /** Prints a line outside of any task. */
  message(level: Level, text: string): void {
    if (this.#options.format === 'json') {
      if (this.#shows(level)) this.#json({ type: 'log', path: [], level, message: cleanText(text) });
      return;
    }
    this.#record([], level, text);
  }

  /** Prints an error's message and hint, and at level `debug` also its details. Never hidden. */
  failure(error: EngineError): void {
    if (this.#options.format === 'json') {
      this.#json({ type: 'error', ...toWireError(error) });
      return;
    }
    this.#line('error', `error: ${cleanText(error.message)}`);
    if (error.hint !== undefined) this.#line('info', `hint: ${cleanText(error.hint)}`);
    if (this.#options.level !== 'debug') return;
    for (const [key, value] of [['code', error.code], ...Object.entries(error.details)]) {
      this.#line('debug', `  ${key}: ${cleanText(String(value)).replaceAll('\n', '\n    ')}`);
    }
  }

  /** Shows current activity on a line that the next call replaces; only on a terminal. Undefined clears it. */
  progress(text: string | undefined): void {
    if (!this.#options.terminal || this.#options.format === 'json' || !this.#shows('info')) return;
    const line = text === undefined ? '' : cleanText(text).slice(0, Math.max(10, (this.#options.columns ?? 80) - 1));
    if (line === this.#transient) return;
    this.#transient = line;
    this.#options.write(`\r\u001b[2K${line}`);
  }

  #shows(level: Level): boolean {
    return RANK[level] >= RANK[this.#options.level];
  }

  #showsDepth(depth: number): boolean {
    return this.#options.depth < 0 || depth <= this.#options.depth;
  }

  #paint(level: Level, text: string): string {
    const color = COLORS[level];
    return this.#options.color && color !== '' ? `${color}${text}${RESET}` : text;
  }

  #raw(text: string): void {
    if (this.#transient !== '') this.#options.write('\r\u001b[2K');
    this.#options.write(`${text}\n`);
    if (this.#transient !== '') this.#options.write(this.#transient);
  }

  #line(level: Level, text: string): void {
    this.#raw(this.#paint(level, text));
  }

  /** The innermost open task of a path. Parallel lanes may open the same path several times. */
  #find(path: readonly string[]): Task | undefined {
    for (let length = path.length; length > 0; length--) {
      const found = this.#tasks.get(keyOf(path.slice(0, length)))?.at(-1);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #start(path: readonly string[], worker: string | undefined): void {
    const task: Task = {
      label: cleanText(path.at(-1) ?? ''),
      worker: worker === undefined || worker === path.at(-1) ? undefined : cleanText(worker),
      depth: path.length,
      parent: this.#find(path.slice(0, -1)),
      headed: false,
      failed: false,
      buffer: [],
    };
    this.#tasks.set(keyOf(path), [...(this.#tasks.get(keyOf(path)) ?? []), task]);
    if (this.#shows('info') && this.#showsDepth(task.depth)) this.#head(task);
  }

  #head(task: Task): void {
    task.headed = true;
    this.#line('info', headerOf(task));
  }

  #end(event: Extract<OperationEvent, { type: 'step-end' }>): void {
    const key = keyOf(event.path);
    const open = this.#tasks.get(key) ?? [];
    const task = open.at(-1);
    if (task === undefined) return;
    if (open.length === 1) this.#tasks.delete(key);
    else this.#tasks.set(key, open.slice(0, -1));
    if (event.status === 'failed') this.#fail(task);
    if (task.failed && task.buffer.length > 0) for (const line of task.buffer) this.#raw(line);
    if (!task.headed) return;
    const [word, color] = task.failed ? ['ERROR', RED] : event.status === 'cancelled' ? ['Cancelled', RED] : ['Success', GREEN];
    const after = ` (in ${formatElapsed(event.elapsedMs)})`;
    this.#raw(this.#options.color ? `${CYAN}${headerOf(task)}${color}${word}${CYAN}${after}${RESET}` : `${headerOf(task)}${word}${after}`);
  }

  #fail(task: Task): void {
    const missing: Task[] = [];
    for (let one: Task | undefined = task; one !== undefined; one = one.parent) {
      one.failed = true;
      if (!one.headed) missing.unshift(one);
    }
    for (const one of missing) this.#head(one);
  }

  #record(path: readonly string[], level: Level, message: string): void {
    const task = this.#find(path);
    const depth = task?.depth ?? 0;
    if (level === 'error' && task !== undefined) this.#fail(task);
    for (const text of cleanText(message).split('\n')) {
      const line = depth === 0 ? text : `${'  '.repeat(depth - 1)}  ${indicator(depth + 1)} ${text}`;
      if (level === 'error' || (this.#shows(level) && this.#showsDepth(depth))) this.#line(level, line);
      else if (task !== undefined) {
        task.buffer.push(this.#paint(level, line));
        if (task.buffer.length > BUFFER) task.buffer.shift();
      }
    }
  }

  #json(value: Record<string, unknown>): void {
    this.#options.write(`${JSON.stringify({ time: new Date((this.#options.now ?? Date.now)()).toISOString(), ...value })}\n`);
  }

  #jsonEvent(event: OperationEvent): void {
    if (event.type === 'log') {
      const level = event.level === 'warn' ? 'warning' : event.level;
      if (this.#shows(level)) this.#json({ type: 'log', path: event.path, level, message: cleanText(event.message) });
    } else if (event.type === 'step-start') {
      this.#json({ type: 'task-start', path: event.path, ...(event.worker === undefined ? {} : { worker: event.worker }) });
    } else {
      this.#json({
        type: 'task-end',
        path: event.path,
        ...(event.worker === undefined ? {} : { worker: event.worker }),
        status: event.status,
        elapsedMs: event.elapsedMs,
        ...(event.error === undefined ? {} : { error: toWireError(event.error) }),
      });
    }
  }
}

function keyOf(path: readonly string[]): string {
  return path.join('\0');
}

function indicator(depth: number): string {
  return INDICATORS[(depth - 1) % INDICATORS.length] ?? '@';
}

function headerOf(task: Task): string {
  const lane = task.worker === undefined ? '' : `[${task.worker}] `;
  return `${'  '.repeat(task.depth - 1)}${indicator(task.depth)} ${lane}${task.label}: `;
}
