import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import {
  addressIn,
  COUNTING_VMS,
  type Counted,
  contradictions,
  countedIn,
  countingInitFile,
  LISTEN,
  sendTo,
  TELL,
  wentOn,
} from '../../e2e/support/counting-guests.ts';
import type { Strictness } from '../../e2e/support/whole-environment.ts';
import { lagoOk } from '../lago.ts';
import { expectWholeFiles } from '../oracle.ts';
import { expectThat } from '../report.ts';
import { makeSandbox, ownedProcesses, removeSandbox, type Sandbox } from '../sandbox.ts';
import type { Model, Moment, Vm } from './model.ts';

/** How long VMs that go on may take until they have counted on. */
const GOES_ON_MS = 60_000;
/** Until processes that have nothing more to do have ended. */
const ENDS_MS = 15_000;

interface Seen {
  readonly disk: string;
  readonly memory: string;
  readonly counted: Counted;
}

interface ListedPoint {
  readonly name: string;
  readonly parent: string | null;
  readonly vms: Readonly<Record<string, string>>;
  readonly current: boolean;
  readonly missing: readonly string[];
}

/** An environment of VMs that count, its forks beside it, and what the processes of one of them are. */
export class CountingWorld {
  readonly sandbox: Sandbox = makeSandbox(countingInitFile());
  #usual: ReadonlyMap<string, number> = new Map();

  /** Creates and starts it, and lets its VMs count. */
  async build(): Promise<void> {
    await lagoOk(this.sandbox, ['init']);
    await this.begin();
    this.#usual = this.#processes();
  }

  /** Starts all VMs anew, and lets them count. */
  async begin(): Promise<void> {
    await lagoOk(this.sandbox, ['stop']);
    await lagoOk(this.sandbox, ['start']);
    const addresses = await Promise.all(COUNTING_VMS.map(async (vm) => addressIn(await this.inGuest('default', vm, LISTEN))));
    await Promise.all(
      COUNTING_VMS.map(async (vm, index) => await this.inGuest('default', vm, sendTo(addresses[(index + 1) % COUNTING_VMS.length] ?? ''))),
    );
  }

  root(name: string): string {
    return join(this.sandbox.dir, '.lago', name);
  }

  async inGuest(prefix: string, vm: Vm, command: string): Promise<string> {
    return (await lagoOk(this.sandbox, ['--prefix-name', prefix, 'shell', vm, command])).stdout;
  }

  /** Writes to the files of a VM that `look` reads: on its disks and in its memory. */
  async write(vm: Vm, text: string): Promise<void> {
    const raw = vm === 'b' ? `echo ${text} | dd of=/dev/vdb bs=512 count=1 conv=sync,notrunc 2>/dev/null; ` : '';
    await this.inGuest('default', vm, `echo ${text} >/root/mark; ${raw}echo ${text} >/tmp/mark; sync`);
  }

  /** What a VM has in its files, read from the disks where these are on disks, and has counted. */
  async #look(prefix: string, vm: Vm): Promise<Seen> {
    const text = await this.inGuest(
      prefix,
      vm,
      `echo 3 >/proc/sys/vm/drop_caches; echo "$(cat /root/mark 2>/dev/null)|$(head -c 40 /dev/vdb 2>/dev/null | head -n 1 | tr -d '\\000')|$(cat /tmp/mark 2>/dev/null)"; ${TELL}`,
    );
    const [first = '', ...rest] = text.split('\n');
    const [root = '', raw = '', memory = ''] = first.split('|');
    return { disk: vm === 'b' && raw !== root ? `${root} and ${raw}` : root, memory, counted: countedIn(rest.join('\n')) };
  }

  /** The disk and memory files of the VMs that run are those of one of these moments; returns which. */
  async expectOneOf(prefix: string, moments: readonly Moment[]): Promise<number> {
    const [running] = moments.map((one) => one.running);
    const seen = await Promise.all((running ?? []).map(async (vm) => [vm, await this.#look(prefix, vm)] as const));
    const found = moments.findIndex(({ disk, memory }) => seen.every(([vm, one]) => one.disk === disk[vm] && one.memory === memory[vm]));
    const about = seen.map(([vm, { disk, memory }]) => `${vm}: ${disk} and ${memory}`).join('; ');
    expectThat(found >= 0, 'lost', () => `expected in the VMs of ${prefix} the files of ${JSON.stringify(moments)}, there are ${about}`);
    return found;
  }

  /** The VMs that run are as in this moment, and go on counting from there. Returns the numbers that they have sent. */
  async expectMoment(prefix: string, moment: Moment): Promise<readonly number[] | undefined> {
    const all = async (): Promise<readonly Seen[]> => await Promise.all(moment.running.map(async (vm) => await this.#look(prefix, vm)));
    const first = await all();
    for (const [index, vm] of moment.running.entries()) {
      const { disk, memory } = first[index] ?? { disk: '', memory: '' };
      expectThat(
        disk === moment.disk[vm],
        'lost',
        () => `expected "${moment.disk[vm]}" on the disks of ${vm} in ${prefix}, there is "${disk}"`,
      );
      expectThat(
        memory === moment.memory[vm],
        'lost',
        () => `expected "${moment.memory[vm]}" in the memory of ${vm} in ${prefix}, there is "${memory}"`,
      );
    }
    const { sent: least } = moment;
    if (least === undefined) return undefined;
    const before = first.map(({ counted }) => counted);
    const behind = before.flatMap(({ sent }, index) =>
      sent < (least[index] ?? 0) ? [`${COUNTING_VMS[index]}: ${sent} after ${least[index]}`] : [],
    );
    expectThat(behind.length === 0, 'lost', () => `expected ${prefix} to count on, it is behind: ${behind.join('; ')}`);
    return await this.#expectGoesOn(prefix, before, async () => (await all()).map(({ counted }) => counted));
  }

  async #expectGoesOn(prefix: string, before: readonly Counted[], ask: () => Promise<readonly Counted[]>): Promise<readonly number[]> {
    const deadline = Date.now() + GOES_ON_MS;
    for (let last = before; ; ) {
      const now = await ask();
      const wrong = contradictions(last, now);
      expectThat(wrong.length === 0, 'lost', () => `expected whole connections in ${prefix}: ${wrong.join('; ')}`);
      if (wentOn(before, now, 2)) return now.map(({ sent }) => sent);
      const told = (): string => `expected ${prefix} to count on from ${JSON.stringify(before)}, it stands at ${JSON.stringify(now)}`;
      expectThat(Date.now() < deadline, 'lost', told);
      last = now;
    }
  }

  /** The snapshots and the states of VMs are as in the model, by the command line. */
  async expectTold(prefix: string, model: Model): Promise<void> {
    const ask = async (...words: string[]): Promise<unknown> =>
      JSON.parse((await lagoOk(this.sandbox, ['--prefix-name', prefix, '-f', 'json', ...words])).stdout);
    const [points, status] = (await Promise.all([ask('snapshot', '--tree'), ask('status')])) as [
      readonly ListedPoint[],
      { readonly Prefix: { readonly VMs: Readonly<Record<string, { readonly status: string }>> } },
    ];
    const lines = (all: readonly (readonly [string, string | null, Readonly<Record<string, string>>, boolean])[]): string =>
      all
        .map(([name, parent, { a, b, c }, current]) => `${name} from ${parent}: ${a} ${b} ${c}${current ? ', now' : ''}`)
        .sort()
        .join('\n');
    const told = lines(points.map(({ name, parent, vms, current }) => [name, parent, vms, current]));
    const wanted = lines(model.points.map(({ name, parent, kinds }) => [name, parent, kinds, name === model.current]));
    expectThat(told === wanted, 'lost', () => `expected the snapshots of ${prefix}:\n${wanted}\nthey are:\n${told}`);
    const missing = points.filter((point) => point.missing.length > 0).map(({ name }) => name);
    expectThat(missing.length === 0, 'lost', () => `expected whole snapshots of ${prefix}, files are missing of ${missing.join(', ')}`);
    const states = Object.fromEntries(Object.entries(status.Prefix.VMs).map(([vm, { status: state }]) => [vm, state]));
    const holds = COUNTING_VMS.every((vm) => states[vm] === (model.now.running.includes(vm) ? 'running' : 'down'));
    expectThat(holds, 'lost', () => `expected ${model.now.running.join(', ')} of ${prefix} to run: ${JSON.stringify(states)}`);
  }

  /** No more processes run than those of so many environments whose VMs all run, or of which some are off. */
  async expectProcesses(environments: number): Promise<void> {
    const deadline = Date.now() + ENDS_MS;
    for (;;) {
      const more = [...this.#processes()].filter(([name, count]) => count > (this.#usual.get(name) ?? 0) * environments);
      if (more.length === 0) return;
      expectThat(Date.now() < deadline, 'leaks', () => `expected processes of ${environments} environments only: ${more.join('; ')}`);
      await pause(200);
    }
  }

  /** The environment is as in the model: what is told, files, guests. Returns the numbers that its VMs have sent. */
  async expectModel(prefix: string, model: Model, how?: Strictness): Promise<readonly number[] | undefined> {
    await this.expectTold(prefix, model);
    expectWholeFiles(this.root(prefix), how);
    return await this.expectMoment(prefix, model.now);
  }

  /** How many processes there are of each program; helpers of a libvirt daemon come and go. */
  #processes(): ReadonlyMap<string, number> {
    const found = new Map<string, number>();
    for (const { command } of ownedProcesses(this.sandbox)) {
      const [program = '', script = ''] = command.split(' ').map((word) => word.replace(/^.*\//, ''));
      const name = /^(node|bash|sh)$/.test(program) ? `${program} ${script}` : program;
      found.set(name, (found.get(name) ?? 0) + 1);
    }
    return found;
  }

  remove(): void {
    removeSandbox(this.sandbox);
  }
}
