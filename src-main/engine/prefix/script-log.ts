import { type FileHandle, open, rm } from 'node:fs/promises';
import { StringDecoder } from 'node:string_decoder';
import { cleanLine } from '../../../src-shared/clean-text.ts';
import { diskError } from '../core/files/json-file.ts';
import { Tail } from '../core/tail.ts';

/** Longer lines are cut into several when they are passed on as text. */
const LINE = 4000;
const LAST_BYTES = 16 * 1024;

/** Output of one script: every byte goes to a file, every whole line as clean text to `onLine`. */
export class ScriptLog {
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #onLine: (line: string) => void;
  readonly #decoder = new StringDecoder('utf8');
  readonly #tail = new Tail(LAST_BYTES);
  #line = '';

  private constructor(file: FileHandle, path: string, onLine: (line: string) => void) {
    this.#file = file;
    this.#path = path;
    this.#onLine = onLine;
  }

  /** Replaces a log of an earlier run. Who reads that one goes on reading it. */
  static async create(path: string, onLine: (line: string) => void): Promise<ScriptLog> {
    try {
      await rm(path, { force: true });
      return new ScriptLog(await open(path, 'wx'), path, onLine);
    } catch (error) {
      throw diskError(error, path);
    }
  }

  async write(chunk: Buffer): Promise<void> {
    try {
      await this.#file.appendFile(chunk);
    } catch (error) {
      throw diskError(error, this.#path);
    }
    this.#tail.push(chunk);
    this.#pass(this.#decoder.write(chunk));
  }

  /** The last lines that have text. */
  lastLines(count: number): readonly string[] {
    return this.#tail
      .toString()
      .split('\n')
      .map(cleanLine)
      .filter((line) => line.trim() !== '')
      .slice(-count);
  }

  /** Passes on the last line, if it has no end, and closes the file. */
  async close(): Promise<void> {
    this.#pass(this.#decoder.end());
    if (this.#line !== '') this.#onLine(cleanLine(this.#line));
    this.#line = '';
    await this.#file.close();
  }

  #pass(text: string): void {
    const lines = (this.#line + text).split('\n');
    let rest = lines.pop() ?? '';
    for (const line of lines) this.#onLine(cleanLine(line));
    for (; rest.length > LINE; rest = rest.slice(LINE)) this.#onLine(cleanLine(rest.slice(0, LINE)));
    this.#line = rest;
  }
}
