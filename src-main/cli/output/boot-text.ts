import { BOOT_STAGE_TITLES, type BootStage, type BootState, waitingStage } from '../../../src-shared/boot.ts';

const MARKS: Readonly<Record<BootStage['state'], string>> = { done: '+', passed: '+', waiting: '>', ahead: ' ' };

/** How far a VM has booted, for people: one line a stage, then the cause, its evidence and the next step. */
export function bootText(vm: string, boot: BootState | null): string {
  if (boot === null) return `${vm}: not running`;
  const from = boot.stages.find((stage) => stage.at !== null)?.at ?? null;
  const waiting = waitingStage(boot);
  const head = waiting === undefined ? `${vm}: up` : `${vm}: not up yet`;
  const stages = boot.stages.map((stage) => line(MARKS[stage.state], BOOT_STAGE_TITLES[stage.id], about(stage, from)));
  if (boot.agent !== undefined) stages.push(line('+', 'Guest agent', `${clock(boot.agent, from).padEnd(9)} answers`));
  if (boot.hang === null) return [head, ...stages].join('\n');
  const { cause, next, lines } = boot.hang;
  return [head, ...stages, `  ${cause}`, ...lines.map((line) => `    | ${line}`), `  ${next}`].join('\n');
}

function line(mark: string, title: string, rest: string): string {
  return `  ${mark} ${title.padEnd(20)} ${rest}`.trimEnd();
}

function clock(at: number | null, from: number | null): string {
  if (at === null || from === null) return '';
  return at === from ? new Date(from).toLocaleTimeString('sv') : `+${seconds(at - from)} s`;
}

/** When it was reached, counted from the first known time, and what showed it. */
function about(stage: BootStage, from: number | null): string {
  switch (stage.state) {
    case 'done':
      return `${clock(stage.at, from).padEnd(9)} ${stage.evidence ?? ''}`;
    case 'passed':
      return 'not seen';
    case 'waiting':
      return 'waiting';
    case 'ahead':
      return '';
  }
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1);
}
