import { lago, lagoOk } from './lago.ts';
import { expectSnapshotFiles, expectSoundImages, expectState, listedSnapshots, type Marks, readMarks, writeMarks } from './oracle.ts';
import { expectThat } from './report.ts';
import { makeSandbox, removeSandbox, type Sandbox } from './sandbox.ts';

export interface Kept {
  readonly memory: boolean;
  readonly marks: Marks;
}

/** Content of a file written in the guest before the first snapshot. */
const MARKER = 'kept through everything';
export const BASE = 'base';

/** An environment that survives many kills, and what must be true of it. */
export class Environment {
  readonly sandbox: Sandbox;
  running = false;
  readonly snapshots = new Map<string, Kept>();
  marks: Marks = { web: 0, db: 0 };

  constructor() {
    this.sandbox = makeSandbox();
  }

  /** Creates it, boots it once, writes a marker in a guest, and takes the snapshot that later attempts can revert to. */
  async build(): Promise<void> {
    await lagoOk(this.sandbox, ['init']);
    this.marks = writeMarks(this.sandbox, 1);
    await lagoOk(this.sandbox, ['start']);
    this.running = true;
    await lagoOk(this.sandbox, ['shell', 'web', `echo ${MARKER} > /root/marker; sync`]);
    await this.take(BASE);
  }

  async arrange(running: boolean): Promise<void> {
    if (this.running !== running) await lagoOk(this.sandbox, [running ? 'start' : 'stop']);
    this.running = running;
  }

  async take(name: string): Promise<void> {
    await lagoOk(this.sandbox, ['snapshot', name]);
    this.snapshots.set(name, { memory: this.running, marks: this.marks });
  }

  /** Writes new data, so that snapshots differ; the VMs must be off. */
  writeMarks(value: number): void {
    this.marks = writeMarks(this.sandbox, value);
  }

  /** Reverts to the first snapshot, where the guest answers at once, and checks that the marker is on its disk. */
  async expectMarker(): Promise<void> {
    await lagoOk(this.sandbox, ['revert', BASE]);
    this.running = true;
    this.marks = this.snapshots.get(BASE)?.marks ?? this.marks;
    await this.readMarker();
  }

  /** Reads the marker from the disk, not from the guest's memory. */
  async readMarker(): Promise<void> {
    const { stdout } = await lagoOk(this.sandbox, ['shell', 'web', 'echo 3 > /proc/sys/vm/drop_caches; cat /root/marker']);
    expectThat(stdout.trim() === MARKER, 'lost', () => `expected the guest's file to say "${MARKER}", it says "${stdout.trim()}"`);
  }

  /** After a failure: returns true when ordinary verbs restore a reliable state. */
  async repair(): Promise<boolean> {
    try {
      for (const args of [['start'], ['stop'], ['revert', BASE]]) await lagoOk(this.sandbox, args);
      this.running = true;
      this.marks = readMarks(this.sandbox);
      const listed = await listedSnapshots(this.sandbox);
      expectSnapshotFiles(this.sandbox);
      for (const name of this.snapshots.keys()) if (!listed.includes(name)) this.snapshots.delete(name);
      await this.arrange(false);
      await expectState(this.sandbox, 'down');
      expectSoundImages(this.sandbox);
      return listed.every((name) => this.snapshots.has(name));
    } catch {
      // The failure has been reported; the caller creates a new environment.
      return false;
    }
  }

  async remove(): Promise<void> {
    await lago(this.sandbox, ['destroy', '-y', '--all-prefixes']);
    removeSandbox(this.sandbox);
  }
}
