import { describe, expect, it } from 'vitest';
import { EngineError } from '../../src-shared/errors.ts';
import type { OperationEvent } from '../engine/index.ts';
import { formatElapsed, TaskLog, type TaskLogOptions } from './task-log.ts';

type Level = Extract<OperationEvent, { type: 'log' }>['level'];

const start = (path: string, worker?: string): OperationEvent => ({ type: 'step-start', path: path.split('/'), worker });
const end = (path: string, status: 'succeeded' | 'failed' | 'cancelled' = 'succeeded', elapsedMs = 0, worker?: string): OperationEvent => ({
  type: 'step-end',
  path: path.split('/'),
  worker,
  status,
  elapsedMs,
  ...(status === 'failed' ? { error: new EngineError('hypervisor.failed', 'No.') } : {}),
});
const log = (path: string, level: Level, message: string): OperationEvent => ({
  type: 'log',
  path: path === '' ? [] : path.split('/'),
  level,
  message,
});

function printed(events: readonly OperationEvent[], options: Partial<TaskLogOptions> = {}): string {
  let text = '';
  const taskLog = new TaskLog({
    write: (part) => (text += part),
    level: 'info',
    depth: 3,
    color: false,
    format: 'text',
    terminal: false,
    ...options,
  });
  for (const event of events) taskLog.event(event);
  return text;
}

const START: readonly OperationEvent[] = [
  start('Start Prefix'),
  start('Start Prefix/Start nets'),
  start('Start Prefix/Start nets/Create network n0'),
  log('Start Prefix/Start nets/Create network n0', 'info', 'bridge made'),
  start('Start Prefix/Start nets/Create network n0/Deep'),
  end('Start Prefix/Start nets/Create network n0/Deep'),
  end('Start Prefix/Start nets/Create network n0', 'succeeded', 5400),
  end('Start Prefix/Start nets', 'succeeded', 65_000),
  end('Start Prefix', 'succeeded', 3_725_000),
];

describe('the task log', () => {
  it('shows nested tasks as Lago did', () => {
    expect(printed(START)).toBe(
      [
        '@ Start Prefix: ',
        '  # Start nets: ',
        '    * Create network n0: ',
        '      - bridge made',
        '    * Create network n0: Success (in 0:00:05)',
        '  # Start nets: Success (in 0:01:05)',
        '@ Start Prefix: Success (in 1:02:05)',
        '',
      ].join('\n'),
    );
  });
  it('hides tasks that are too deep', () => {
    expect(printed(START, { depth: 1 })).toBe('@ Start Prefix: \n@ Start Prefix: Success (in 1:02:05)\n');
    expect(printed(START, { depth: -1 })).toContain('      - Deep: Success (in 0:00:00)\n');
  });
  it('hides tasks and messages below the level', () => {
    expect(printed(START, { level: 'warning' })).toBe('');
    expect(printed([start('A'), log('A', 'debug', 'd'), log('A', 'warn', 'w'), end('A')])).toBe(
      '@ A: \n  # w\n@ A: Success (in 0:00:00)\n',
    );
    expect(printed([start('A'), log('A', 'debug', 'd')], { level: 'debug' })).toBe('@ A: \n  # d\n');
  });
  it('shows what was hidden when a task fails', () => {
    const events = [
      start('A'),
      start('A/B'),
      log('A/B', 'debug', 'not of interest'),
      end('A/B'),
      start('A/C'),
      log('A/C', 'debug', 'running the tool'),
      start('A/C/D'),
      log('A/C/D', 'info', 'exit 1'),
      end('A/C/D', 'failed'),
      end('A/C', 'failed'),
      end('A', 'failed', 1000),
    ];
    expect(printed(events, { depth: 1 })).toBe(
      [
        '@ A: ',
        '  # C: ',
        '    * D: ',
        '      - exit 1',
        '    * D: ERROR (in 0:00:00)',
        '    * running the tool',
        '  # C: ERROR (in 0:00:00)',
        '@ A: ERROR (in 0:00:01)',
        '',
      ].join('\n'),
    );
  });
  it('shows errors at once, with the headers they need', () => {
    expect(printed([start('A'), start('A/B'), log('A/B', 'error', 'broken')], { depth: 1 })).toBe('@ A: \n  # B: \n    * broken\n');
    expect(printed([start('A'), log('A', 'error', 'broken'), end('A')], { level: 'error' })).toBe(
      '@ A: \n  # broken\n@ A: ERROR (in 0:00:00)\n',
    );
  });
  it('keeps at most 2000 hidden lines of a task', () => {
    const many = Array.from({ length: 2005 }, (_, index) => log('A', 'debug', `line ${index}`));
    const lines = printed([start('A'), ...many, end('A', 'failed')]).split('\n');
    expect(lines[1]).toBe('  # line 5');
    expect(lines.length).toBe(2003);
  });
  it('names the lane of parallel tasks', () => {
    const events = [
      start('A'),
      start('A/vm0', 'vm0'),
      start('A/vm1', 'vm1'),
      start('A/vm0/Create disk', 'vm0'),
      start('A/vm1/Create disk', 'vm1'),
      end('A/vm0/Create disk', 'succeeded', 0, 'vm0'),
    ];
    expect(printed(events)).toBe(
      '@ A: \n  # vm0: \n  # vm1: \n    * [vm0] Create disk: \n    * [vm1] Create disk: \n    * [vm0] Create disk: Success (in 0:00:00)\n',
    );
  });
  it('says when a task was cancelled', () => {
    expect(printed([start('A'), end('A', 'cancelled', 2000)])).toBe('@ A: \n@ A: Cancelled (in 0:00:02)\n');
  });
  it('prints messages outside of tasks as they are, each line of several', () => {
    expect(printed([log('', 'info', 'one\ntwo')])).toBe('one\ntwo\n');
  });
  it('cycles through the indicators', () => {
    const path = ['a', 'b', 'c', 'd', 'e', 'f'];
    const events = path.map((_, index) => start(path.slice(0, index + 1).join('/')));
    expect(printed(events, { depth: -1 }).match(/[@#*~-] /g)).toEqual(['@ ', '# ', '* ', '- ', '~ ', '@ ']);
  });
  it('colours only when asked, and always resets', () => {
    const text = printed([start('A'), log('A', 'warn', 'w'), log('A', 'error', 'e'), end('A', 'failed')], { color: true });
    expect(text.split('\n').filter((line) => line !== '' && !line.endsWith('\u001b[0m'))).toEqual([]);
    expect(text).toContain('\u001b[33m  # w\u001b[0m');
    expect(text).toContain('\u001b[36m@ A: \u001b[31mERROR\u001b[36m (in 0:00:00)\u001b[0m');
    expect(printed([start('A'), end('A')], { color: true })).toContain('\u001b[32mSuccess\u001b[36m');
  });
  it('removes control characters printed by a guest', () => {
    expect(printed([log('', 'info', 'a\u001b[2Jb\u001b]0;title\u0007c\rd\u0000')])).toBe('abcd\n');
  });
});

describe('failures', () => {
  const error = new EngineError('host.missing-tool', 'The program virsh is not installed.', {
    hint: 'Install libvirt-clients.',
    details: { program: 'virsh' },
  });
  function failure(options: Partial<TaskLogOptions>): string {
    let text = '';
    new TaskLog({
      write: (part) => (text += part),
      level: 'info',
      depth: 3,
      color: false,
      format: 'text',
      terminal: false,
      ...options,
    }).failure(error);
    return text;
  }
  it('are a sentence and a hint', () =>
    expect(failure({})).toBe('error: The program virsh is not installed.\nhint: Install libvirt-clients.\n'));
  it('show facts at the level debug', () => {
    expect(failure({ level: 'debug' })).toContain('  code: host.missing-tool\n  program: virsh\n');
  });
  it('are one object in JSON', () => {
    expect(JSON.parse(failure({ format: 'json', now: () => 0 }))).toEqual({
      time: '1970-01-01T00:00:00.000Z',
      type: 'error',
      code: 'host.missing-tool',
      message: 'The program virsh is not installed.',
      hint: 'Install libvirt-clients.',
      details: { program: 'virsh' },
    });
  });
});

describe('the JSON format', () => {
  it('has one object a line', () => {
    const lines = printed([start('A', 'w'), log('A', 'warn', 'm'), log('A', 'debug', 'hidden'), end('A', 'failed', 12)], {
      format: 'json',
      now: () => 0,
    })
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown);
    const time = '1970-01-01T00:00:00.000Z';
    expect(lines).toEqual([
      { time, type: 'task-start', path: ['A'], worker: 'w' },
      { time, type: 'log', path: ['A'], level: 'warning', message: 'm' },
      {
        time,
        type: 'task-end',
        path: ['A'],
        status: 'failed',
        elapsedMs: 12,
        error: { code: 'hypervisor.failed', message: 'No.', details: {} },
      },
    ]);
  });
});

describe('the progress line', () => {
  function session(terminal: boolean): string {
    let text = '';
    const taskLog = new TaskLog({
      write: (part) => (text += part),
      level: 'info',
      depth: 3,
      color: false,
      format: 'text',
      terminal,
      columns: 20,
    });
    taskLog.progress('Downloading: 10 MiB of 300 MiB');
    taskLog.message('info', 'a line');
    taskLog.progress(undefined);
    return text;
  }
  it('is replaced by what comes next, and cut to the width', () => {
    expect(session(true)).toBe('\r\u001b[2KDownloading: 10 MiB\r\u001b[2Ka line\nDownloading: 10 MiB\r\u001b[2K');
  });
  it('is not drawn into files', () => expect(session(false)).toBe('a line\n'));
});

describe('formatElapsed', () => {
  it.each([
    [0, '0:00:00'],
    [999, '0:00:00'],
    [61_500, '0:01:01'],
    [36_000_000, '10:00:00'],
  ])('%d ms', (ms, text) => expect(formatElapsed(ms)).toBe(text));
});
