import { rename, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { EngineError, isCancelled } from '../../../../../src-shared/errors.ts';
import type { Engine, PrefixLocation, RunResult, Step, VerbCall } from '../../contract.ts';
import { openTestChannel, type TestMessage } from './test-channel.ts';
import { findPython, testEnvironment } from './test-environment.ts';
import { junitXml, TestRecord } from './test-report.ts';

/** Time for tests to tear down what they made, after which they are killed. */
const GRACE_MS = 10_000;

/** pytest's exit codes: tests failed, the file could not be read, and there were no tests. */
const SOME_FAILED = 1;
const UNREADABLE = 2;
const NO_TESTS = 5;

export interface RuntestRequest {
  readonly file: string;
  /** Where to write the results; by default into the environment. */
  readonly junitxml?: string | undefined;
  readonly python?: string | undefined;
}

/**
 * Runs the tests of a file on the environment, each as a task. The results so far are always in the JUnit file, whatever happens to the
 * tests or the interpreter. Returns the exit code: 1 when a test failed. `input.missing-file`, `host.missing-tool`.
 */
export async function runtest(call: VerbCall, request: RuntestRequest): Promise<number> {
  const prefix = await call.prefix();
  const file = resolve(call.cwd, request.file);
  await requireFile(file);
  const python = await findPython(call, request.python);
  const junit = request.junitxml === undefined ? join(prefix.path, `nosetests-${basename(file)}.xml`) : resolve(call.cwd, request.junitxml);
  const specs = await call.specs(prefix.path);
  return await call.withEngine(async (engine) => {
    await using _served = await engine.repos.serveDuring(prefix.path, call.signal);
    const tests = await call.task(`Run ${basename(file)}`, async (step) => {
      const run = new TestRun(engine, prefix, junit, step);
      await run.save();
      await using channel = await openTestChannel(async (message) => await run.handle(message));
      const options = ['-p', 'lago_testlib.pytest_plugin', '-p', 'no:cacheprovider', '-q', '--tb=short'];
      try {
        const ended = await call.run([python, '-m', 'pytest', ...options, file], {
          cwd: call.cwd,
          env: testEnvironment(call, prefix, specs, channel.path),
          signal: step.signal,
          asGroup: true,
          graceMs: GRACE_MS,
          onLine: (line) => step.log.debug(line),
        });
        await channel.handled();
        await run.finish(ended);
      } catch (error) {
        await run.abandon(isCancelled(error) ? 'It was cancelled.' : String(error));
        throw error;
      }
      return run.tests;
    });
    return verdict(call, tests, junit);
  });
}

async function requireFile(file: string): Promise<void> {
  const found = await stat(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw new EngineError('input.missing-file', `The test file ${file} cannot be read: ${error.message}.`, { cause: error });
  });
  if (found === undefined) throw new EngineError('input.missing-file', `Test file not found: ${file}.`);
}

function verdict(call: VerbCall, tests: readonly TestRecord[], junit: string): number {
  const bad = tests.filter((test) => test.isBad);
  call.log.info(`The results are in ${junit}`);
  if (tests.length === 0) call.log.warn('There are no tests in this file.');
  if (bad.length === 0) return 0;
  if (bad.some((test) => test.text.includes("No module named 'nose'"))) {
    call.log.info('These tests need nose for the chosen Python (Debian: apt-get install python3-nose).');
  }
  call.log.error(`Some tests failed: ${bad.map((test) => test.id).join(', ')}.`);
  return 1;
}

/** The test that is running: a task, which ends with the test. */
interface Current {
  readonly test: TestRecord;
  readonly step: Step;
  /** Ends the task; with an error it has failed. */
  end(error?: Error): void;
  /** Resolves once the task has ended. */
  ended(): Promise<void>;
  /** Whether its artifacts have been collected. */
  collected: boolean;
}

/** The tests of a file while they run. */
class TestRun {
  readonly tests: TestRecord[] = [];
  readonly #engine: Engine;
  readonly #prefix: PrefixLocation;
  readonly #junit: string;
  readonly #step: Step;
  #current: Current | undefined;

  constructor(engine: Engine, prefix: PrefixLocation, junit: string, step: Step) {
    this.#engine = engine;
    this.#prefix = prefix;
    this.#junit = junit;
    this.#step = step;
  }

  async handle(message: TestMessage): Promise<void> {
    if (message.event === 'start') {
      await this.#begin(new TestRecord(message.id, message.name));
      return;
    }
    const current = this.#current;
    if (current === undefined || current.test.id !== message.id) return;
    switch (message.event) {
      case 'failed':
        await this.#collect(current);
        return;
      case 'phase':
        current.test.add(message);
        return;
      case 'end':
        current.test.output = message.output;
        await this.#end(current);
    }
  }

  /** After the interpreter has ended by itself. */
  async finish({ code, signal, stderr, stdout }: RunResult): Promise<void> {
    if (code === 0 || code === SOME_FAILED || code === NO_TESTS) return;
    if (code === UNREADABLE && this.tests.some((test) => test.isBad)) return;
    const how = signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`;
    const said = [stdout, stderr]
      .map((text) => text.trim())
      .filter((text) => text !== '')
      .join('\n');
    if (this.#current === undefined) {
      const test = new TestRecord(basename(this.#junit), 'pytest');
      test.breakOff(`The interpreter ${how}.`, said);
      this.#step.log.error(said === '' ? test.message : `${test.message}\n${said}`);
      this.tests.push(test);
      await this.save();
      return;
    }
    this.#current.test.breakOff(`The interpreter ${how} while this test ran.`, said);
    await this.#collect(this.#current);
    await this.#end(this.#current);
  }

  /** After it was ended, or could not be followed. */
  async abandon(why: string): Promise<void> {
    if (this.#current === undefined) return;
    this.#current.test.breakOff(why);
    await this.#end(this.#current);
  }

  /** Writes the results so far, all or nothing. */
  async save(): Promise<void> {
    const part = `${this.#junit}.part`;
    try {
      await writeFile(part, junitXml(this.tests));
      await rename(part, this.#junit);
    } catch (error) {
      throw new EngineError('host.unavailable', `The results cannot be written to ${this.#junit}: ${(error as Error).message}.`, {
        cause: error,
        hint: `Check the folder ${dirname(this.#junit)}.`,
      });
    }
  }

  async #begin(test: TestRecord): Promise<void> {
    this.tests.push(test);
    let end: Current['end'] = () => undefined;
    const ended = new Promise<void>((resolve, reject) => {
      end = (error) => (error === undefined ? resolve() : reject(error));
    });
    await new Promise<void>((begun, failed) => {
      let task = Promise.resolve();
      const work = this.#step.step(test.name, async (step) => {
        this.#current = { test, step, end, ended: async () => await task, collected: false };
        begun();
        await ended;
      });
      // That the test failed is told by its record; here it matters only where it could not begin.
      task = work.catch(failed);
    });
  }

  async #end(current: Current): Promise<void> {
    const { test, step } = current;
    this.#current = undefined;
    if (test.outcome === 'skipped') step.log.info(`SKIPPED: ${test.message}`);
    if (test.isBad) step.log.error(test.text.trim() === '' ? test.message : test.text.trim());
    current.end(test.isBad ? this.#failureOf(test) : undefined);
    await current.ended();
    await this.save();
  }

  #failureOf(test: TestRecord): EngineError {
    return this.#step.signal.aborted ? new EngineError('cancelled', test.message) : new EngineError('guest.failed', test.message);
  }

  /** Keeps what shows why a test failed. That this fails, too, changes nothing about the test. */
  async #collect(current: Current): Promise<void> {
    if (current.collected) return;
    current.collected = true;
    const output = join(this.#prefix.path, 'test_logs', `${fileName(current.test.id)}-${stamp(new Date())}`);
    const { signal, log } = current.step;
    try {
      const collecting = this.#engine.prefix.collect(this.#prefix.path, { output, why: 'test failed' }, { signal });
      await collecting.done;
      log.info(`Artifacts are in ${output}`);
    } catch (error) {
      if (isCancelled(error)) return;
      log.warn(`Not all artifacts could be collected into ${output}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}

/** A test's id as the name of a folder. */
function fileName(id: string): string {
  return id
    .replace(/[^\w.[\]-]/g, '_')
    .replace(/^\.+/, '_')
    .slice(0, 180);
}

/** YYYYmmddHHMMSS, local time, as Lago's. */
function stamp(now: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const parts = [now.getMonth() + 1, now.getDate(), now.getHours(), now.getMinutes(), now.getSeconds()];
  return `${now.getFullYear()}${parts.map(two).join('')}`;
}
