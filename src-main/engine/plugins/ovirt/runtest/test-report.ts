/** How one test went. `error`: not the test itself failed, but what is before, after or around it. */
export type TestOutcome = 'passed' | 'failed' | 'error' | 'skipped';

/** A part of a test's run, as pytest tells of it. */
export interface TestPhase {
  readonly during: 'setup' | 'call' | 'teardown' | 'collect';
  readonly seconds: number;
  readonly outcome: 'passed' | 'failed' | 'skipped';
  readonly message: string;
  readonly text: string;
}

/** A test from its beginning to its end. */
export class TestRecord {
  /** `module.Class.function`. */
  readonly id: string;
  readonly name: string;
  outcome: TestOutcome = 'passed';
  seconds = 0;
  /** Why it failed or was skipped, one line, and all that is known of it. */
  message = '';
  text = '';
  /** What it printed. */
  output = '';

  constructor(id: string, name: string) {
    this.id = id;
    this.name = name;
  }

  /** Whether it counts against the file. */
  get isBad(): boolean {
    return this.outcome === 'failed' || this.outcome === 'error';
  }

  /** Adds a part. The first that failed decides. */
  add(phase: TestPhase): void {
    this.seconds += phase.seconds;
    if (phase.outcome === 'passed' || this.isBad) return;
    this.outcome = phase.outcome === 'skipped' ? 'skipped' : phase.during === 'call' ? 'failed' : 'error';
    this.message = phase.message;
    this.text = phase.text;
  }

  /** It did not come to its end. */
  breakOff(message: string, text = ''): void {
    this.outcome = 'error';
    this.message = message;
    this.text = text === '' ? message : text;
  }
}

/** The results as JUnit XML, in the form of nose's xunit plugin. */
export function junitXml(tests: readonly TestRecord[]): string {
  const count = (outcome: TestOutcome): number => tests.filter((test) => test.outcome === outcome).length;
  const counts = { tests: tests.length, errors: count('error'), failures: count('failed'), skip: count('skipped') };
  const seconds = tests.reduce((sum, test) => sum + test.seconds, 0).toFixed(3);
  const lines = tests.map((test) => {
    const [classname, name] = split(test.id);
    const inside = [outcomeXml(test), test.output === '' ? '' : `<system-out>${escaped(test.output)}</system-out>`].join('');
    return `<testcase${attributes({ classname, name, time: test.seconds.toFixed(3) })}>${inside}</testcase>`;
  });
  const suite = attributes({ name: 'nosetests', ...counts, time: seconds });
  return ['<?xml version="1.0" encoding="UTF-8"?>', `<testsuite${suite}>`, ...lines, '</testsuite>', ''].join('\n');
}

function outcomeXml({ outcome, message, text }: TestRecord): string {
  if (outcome === 'passed') return '';
  const element = outcome === 'failed' ? 'failure' : outcome;
  return `<${element}${attributes({ type: outcome, message })}>${escaped(text)}</${element}>`;
}

/** `module.Class`, and the function with its parameters, in which dots may be. */
function split(id: string): readonly [string, string] {
  const plain = id.replace(/\[.*$/s, '');
  const at = plain.lastIndexOf('.');
  return at < 0 ? ['', id] : [id.slice(0, at), id.slice(at + 1)];
}

function attributes(values: Readonly<Record<string, string | number>>): string {
  return Object.entries(values)
    .map(([name, value]) => ` ${name}="${escaped(String(value)).replaceAll('\n', '&#10;')}"`)
    .join('');
}

/** Without the characters that no XML may have. */
function escaped(text: string): string {
  return text
    .replace(/[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu, '\uFFFD')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
