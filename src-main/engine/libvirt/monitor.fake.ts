import { createConnection, type Socket } from 'node:net';
import { libvirtError } from './hypervisor-faults.fake.ts';
import type { FakeModel } from './hypervisor-model.fake.ts';

/** The beginning of what is written instead of QEMU's migration stream; what the guest remembers follows, then filling. */
const MAGIC = 'FAKE-QEVM';
/** Bytes of a stream: more than one write, and quick. */
const SIZE = 256 * 1024;
/** libvirt's file around such a stream: magic and 19 words, the second of which is the length of the description after it. */
const SAVE_MAGIC = 'LibvirtQemudSave';
const SAVE_HEADER = SAVE_MAGIC.length + 19 * 4;

/** What libvirt finds in a file to restore from: a description, and what the guest remembers. Fails as libvirt and QEMU do. */
export function readSaveImage(path: string, image: Buffer): { readonly xml: string; readonly memory: string } {
  const doing = `Restoring a VM from ${path} failed`;
  if (image.toString('latin1', 0, SAVE_MAGIC.length) !== SAVE_MAGIC) throw libvirtError(`${doing}: image magic is incorrect`, 9);
  const stream = SAVE_HEADER + image.readUInt32LE(SAVE_MAGIC.length + 4);
  const [xml = ''] = image.toString('utf8', SAVE_HEADER, stream).split('\0');
  const memory = image.toString('utf8', stream);
  if (image.length - stream !== SIZE || !memory.startsWith(`${MAGIC} `)) throw libvirtError(`${doing}: load of migration failed`, 9);
  return { xml, memory: JSON.parse(memory.slice(MAGIC.length + 1, memory.indexOf('\n'))) as string };
}

function memoryStream(memory: string): Buffer {
  const stream = Buffer.alloc(SIZE, '.');
  stream.write(`${MAGIC} ${JSON.stringify(memory)}\n`);
  return stream;
}

interface Migration {
  readonly socket: Socket;
  status: 'setup' | 'active' | 'pre-switchover' | 'completed' | 'failed' | 'cancelled';
  reason: string | undefined;
  /** QEMU has suspended the VM, and lets it go on when nothing comes of it. */
  stopped: boolean;
  /** The last pass has begun. */
  last: boolean;
  passes: number;
}

interface Command {
  readonly execute: string;
  readonly arguments?: {
    readonly uri?: string;
    readonly state?: string;
    readonly 'downtime-limit'?: number;
    readonly capabilities?: readonly { readonly capability: string; readonly state: boolean }[];
  };
}

/**
 * QEMU's monitor of the VMs of a fake host, as far as it is asked to write memory into a socket. Like QEMU's it lets a VM go on by itself
 * with the capability `background-snapshot`, and waits before the end with `pause-before-switchover`. Anything else gets an empty result.
 */
export class FakeMonitor {
  readonly #model: FakeModel;
  readonly #capabilities = new Map<string, Set<string>>();
  readonly #migrations = new Map<string, Migration>();
  readonly #lacks: ReadonlySet<string>;
  /** Domains whose stream breaks off in the middle. */
  readonly breaks = new Set<string>();
  /** With how much downtime still to come (ms) QEMU stops a VM by itself, by domain. */
  readonly #downtime = new Map<string, number>();

  /** `lacks`: capabilities that this QEMU, or this kernel, does not have; `kvm` is one, too. */
  constructor(model: FakeModel, lacks: ReadonlySet<string> = new Set()) {
    this.#model = model;
    this.#lacks = lacks;
    model.onEvent((event) => {
      if (event.type !== 'domain' || event.event !== 'stopped') return;
      this.#migrations.get(event.name)?.socket.destroy();
      this.#migrations.delete(event.name);
      this.#capabilities.delete(event.name);
      this.#downtime.delete(event.name);
    });
  }

  /** The capabilities that are on, by domain: an ordinary save fails with them. */
  capabilities(): readonly string[] {
    return [...this.#capabilities].flatMap(([domain, names]) => [...names].map((name) => `${domain} ${name}`));
  }

  /** Answers a command in JSON. */
  command(domain: string, text: string): string {
    const { execute, arguments: args = {} } = JSON.parse(text) as Command;
    const migration = this.#migrations.get(domain);
    switch (execute) {
      case 'migrate-set-capabilities':
        return this.#setCapabilities(domain, args.capabilities ?? []);
      case 'migrate-set-parameters':
        if (args['downtime-limit'] !== undefined) this.#downtime.set(domain, args['downtime-limit']);
        return result({});
      case 'migrate':
        if (isUnderWay(migration)) return refusal('There’s a migration process in progress');
        this.#migrations.set(domain, this.#begin(domain, (args.uri ?? '').replace('unix:', '')));
        return result({});
      case 'migrate-continue':
        if (migration === undefined || migration.status !== args.state) return refusal('Migration not in expected state');
        this.#write(domain, migration);
        return result({});
      case 'migrate_cancel':
        if (isUnderWay(migration)) this.#end(domain, migration, 'cancelled', undefined);
        return result({});
      case 'query-migrate-capabilities':
        return result([...(this.#capabilities.get(domain) ?? [])].map((capability) => ({ capability, state: true })));
      case 'query-kvm':
        return result({ enabled: !this.#lacks.has('kvm'), present: true });
      case 'query-version':
        return result({ qemu: { major: 7, minor: 2, micro: 0 } });
      case 'query-chardev':
        return result([]);
      case 'query-migrate':
        return result(this.#status(domain, migration));
      default:
        return result({});
    }
  }

  #setCapabilities(domain: string, changes: readonly { readonly capability: string; readonly state: boolean }[]): string {
    if (isUnderWay(this.#migrations.get(domain))) return refusal('There’s a migration process in progress');
    const on = new Set(this.#capabilities.get(domain));
    for (const { capability, state } of changes) {
      if (state && this.#lacks.has(capability)) return refusal(`${capability} is not supported by the host`);
      if (state) on.add(capability);
      else on.delete(capability);
    }
    if (on.size > 1) return refusal('Background-snapshot is not compatible with pause-before-switchover');
    this.#capabilities.set(domain, on);
    return result({});
  }

  #begin(domain: string, path: string): Migration {
    const socket = createConnection(path);
    const migration: Migration = { socket, status: 'setup', reason: undefined, stopped: false, last: false, passes: 0 };
    socket.on('error', (error) => this.#end(domain, migration, 'failed', error.message));
    socket.on('close', () => this.#end(domain, migration, 'failed', 'Unable to write to socket: Broken pipe'));
    socket.on('connect', () => {
      migration.status = 'active';
      if (this.#capabilities.get(domain)?.has('pause-before-switchover') !== true) this.#write(domain, migration);
    });
    return migration;
  }

  /** Writes the memory as it is now. */
  #write(domain: string, migration: Migration): void {
    migration.status = 'active';
    migration.last = true;
    this.#stop(domain, migration);
    const stream = memoryStream(this.#model.memoryOf(domain));
    if (this.#capabilities.get(domain)?.has('background-snapshot') === true) {
      migration.stopped = false;
      this.#model.resumeDomain(domain);
    }
    const { socket } = migration;
    if (this.breaks.has(domain)) socket.write(stream.subarray(0, SIZE / 2), () => socket.destroy());
    else {
      socket.once('finish', () => {
        if (isUnderWay(migration)) migration.status = 'completed';
      });
      socket.end(stream);
    }
  }

  #stop(domain: string, migration: Migration): void {
    if (this.#model.domain(domain).state !== 'running') return;
    migration.stopped = true;
    this.#model.suspendDomain(domain);
  }

  #end(domain: string, migration: Migration, how: 'failed' | 'cancelled', reason: string | undefined): void {
    if (!isUnderWay(migration)) return;
    [migration.status, migration.reason] = [how, reason];
    migration.socket.destroy();
    if (migration.stopped && this.#migrations.get(domain) === migration) this.#model.resumeDomain(domain);
  }

  #status(domain: string, migration: Migration | undefined): unknown {
    if (migration === undefined) return {};
    // Nothing is left to be written again once the VM stands, or when it changes little: always more than in 1 ms.
    const standing = this.#model.domain(domain).state === 'paused';
    if (migration.status === 'active' && !migration.last && (standing || this.#downtime.get(domain) !== 1)) {
      this.#stop(domain, migration);
      migration.status = 'pre-switchover';
    }
    const { status, reason } = migration;
    migration.passes++;
    return { status, 'error-desc': reason, ram: { transferred: SIZE, 'dirty-sync-count': migration.passes } };
  }
}

function isUnderWay(migration: Migration | undefined): migration is Migration {
  return migration !== undefined && ['setup', 'active', 'pre-switchover'].includes(migration.status);
}

function result(value: unknown): string {
  return JSON.stringify({ return: value });
}

function refusal(desc: string): string {
  return JSON.stringify({ error: { class: 'GenericError', desc } });
}
