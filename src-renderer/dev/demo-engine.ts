import { implement, ORPCError } from '@orpc/server';
import { RPCHandler } from '@orpc/server/message-port';
import type { Bridge } from '../../src-shared/bridge.ts';
import { openByteChannel } from '../../src-shared/byte-stream.ts';
import { contract, type LiveEvent } from '../../src-shared/contract.ts';
import type { OperationState, StepState } from '../../src-shared/operation.ts';
import type { ForwardState, LibraryState, PrefixState, VmStatus } from '../../src-shared/state.ts';
import type { TerminalState } from '../../src-shared/terminal.ts';
import { changeLabel } from '../../src-shared/vm-change.ts';
import { changedVm } from './demo-changes.ts';
import { collectionHandlers } from './demo-collections.ts';
import { demoOutput, deployed } from './demo-deploy.ts';
import { demoNumbers } from './demo-numbers.ts';
import { DEMO_PACKAGES, packageHandlers } from './demo-packages.ts';
import { DemoRepos } from './demo-repos.ts';
import { snapshotHandlers } from './demo-snapshots.ts';
import { changedByOthers, demoForks } from './demo-timeline.ts';
import {
  BROKEN,
  CHOSEN,
  FAILED,
  FAILED_FETCH,
  FAILED_LOG,
  FORKED,
  inspection,
  LIBRARY,
  MACHINE,
  OVIRT,
  SHOP,
  UNUSABLE,
  withPoints,
} from './demo-values.ts';

const TICK = 120;

/** The environments of a scenario: `points-N` has N points in its history. */
function prefixesOf(scenario: string): readonly PrefixState[] {
  const points = /^points-(\d+)$/.exec(scenario);
  if (points !== null) return [withPoints(Number(points[1])), OVIRT];
  switch (scenario) {
    case 'drift':
      return [changedByOthers(SHOP), OVIRT];
    case 'empty':
      return [];
    case 'unusable':
      return [UNUSABLE, OVIRT];
    case 'many':
      return [SHOP, OVIRT, BROKEN];
    case 'forks':
      return [SHOP, FORKED, OVIRT];
    default:
      return [SHOP, OVIRT];
  }
}

/** An engine in the page with scripted states, enough to see and use every view without libvirt. */
export class DemoEngine {
  readonly #listeners = new Set<(event: LiveEvent) => void>();
  readonly #scenario: string;
  readonly #streams = new Map<string, { readonly vm: string; readonly kind: string; readonly session: string }>();
  readonly #terminals = new Map<string, TerminalState>();
  readonly #cancelled = new Set<string>();
  readonly #paused = new Set<string>();
  #forwards: readonly ForwardState[] = [];
  readonly #forceAt = new Map<string, number>();
  readonly #logs = new Map<string, readonly string[]>([[FAILED.id, FAILED_LOG]]);
  #library: LibraryState;
  readonly #repos: DemoRepos;
  #prefixes: readonly PrefixState[];
  #operations: readonly OperationState[];
  #rpc: MessagePort | undefined;
  #next = 1;
  #down = false;

  constructor(scenario: string) {
    this.#scenario = scenario;
    this.#prefixes = prefixesOf(scenario).map((prefix) => (prefix.id === SHOP.id ? { ...prefix, packages: DEMO_PACKAGES } : prefix));
    this.#operations = scenario === 'failed' ? [FAILED, FAILED_FETCH] : [];
    this.#repos = new DemoRepos({
      scenario,
      emit: (event) => this.#emit(event),
      run: (kind, label, steps, seconds, done, stopped) => this.#run(kind, label, undefined, steps, seconds, done, stopped),
    });
    this.#library =
      scenario === 'empty' ? { ...LIBRARY, size: 0, unused: 0, repositories: LIBRARY.repositories.slice(0, 1), templates: [] } : LIBRARY;
  }

  /** The bridge that the preload script would expose. */
  bridge(): Bridge {
    return {
      connect: () => {
        if (this.#down) return;
        const { port1, port2 } = new MessageChannel();
        new RPCHandler(this.#router()).upgrade(port1);
        port1.start();
        window.addEventListener('message', (event) => (this.#rpc = event.ports[0]), { once: true });
        window.postMessage({ lago: 'rpc' }, location.origin, [port2]);
      },
      attach: (stream) => {
        const { port1, port2 } = new MessageChannel();
        this.#serve(stream, port1);
        window.postMessage({ lago: 'stream', stream }, location.origin, [port2]);
      },
      pathOf: (file) => `/home/eva/work/shop/${file.name}`,
      choosePath: async (request) => CHOSEN[request.what],
    };
  }

  /** Breaks the connection as a crashed engine would, and refuses new ones. */
  drop(): void {
    this.#down = true;
    // Electron tells a page when the other end of a port closes; browsers do not.
    this.#rpc?.dispatchEvent(new Event('close'));
  }

  #emit(event: LiveEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  #setPrefix(id: string, change: (prefix: PrefixState) => PrefixState): void {
    this.#prefixes = this.#prefixes.map((prefix) => (prefix.id === id ? change(prefix) : prefix));
    const prefix = this.#prefixes.find((one) => one.id === id);
    if (prefix !== undefined) this.#emit({ type: 'prefix', prefix });
  }

  #setForwards(forwards: readonly ForwardState[]): void {
    this.#forwards = forwards;
    this.#emit({ type: 'forwards', forwards: [...forwards] });
  }

  #setOperation(operation: OperationState): void {
    this.#operations = [...this.#operations.filter((one) => one.id !== operation.id), operation];
    this.#emit({ type: 'operation', operation });
  }

  /** Plays steps that take about `seconds` in total, then calls `done`. */
  #run(
    kind: OperationState['kind'],
    label: string,
    prefix: string | undefined,
    names: readonly string[],
    seconds: number,
    done: () => void,
    stopped: () => void = () => undefined,
    template?: string,
  ): { operation: string } {
    const id = `op${this.#next++}`;
    const startedAt = Date.now();
    let fraction = 0;
    const log: string[] = [];
    this.#logs.set(id, log);
    const steps: StepState[] = [];
    const timer = setInterval(() => {
      const paused = this.#paused.has(id) && !this.#cancelled.has(id);
      const forceAt = this.#forceAt.get(id);
      if (forceAt !== undefined && Date.now() >= forceAt) fraction = 1;
      if (!paused) fraction = Math.min(1, fraction + TICK / 1_000 / seconds);
      const index = Math.min(names.length - 1, Math.floor(fraction * names.length));
      names.slice(0, index + 1).forEach((name, at) => {
        const over = at < index || fraction === 1;
        const inner = over ? 1 : fraction * names.length - at;
        if (steps[at] === undefined) log.push(`${name.toLowerCase()}: begin`);
        const left = Math.ceil(((1 - inner) * seconds) / names.length);
        const detail =
          name.startsWith('Download') && !over ? `${Math.round(inner * 642)} MiB of 642 MiB, 53.5 MiB/s, ${left} s left` : undefined;
        steps[at] = {
          id: String(at),
          label: name,
          status: over ? 'succeeded' : 'running',
          fraction: inner,
          startedAt: steps[at]?.startedAt ?? Date.now(),
          steps: [],
          ...(over ? { endedAt: steps[at]?.endedAt ?? Date.now() } : {}),
          ...(detail === undefined ? {} : { detail }),
        };
      });
      const cancelled = this.#cancelled.has(id);
      const over = fraction === 1 || cancelled;
      this.#setOperation({
        id,
        kind,
        label,
        status: cancelled ? 'cancelled' : over ? 'succeeded' : 'running',
        fraction,
        startedAt,
        steps: [...steps],
        logLines: log.length,
        ...(kind === 'fetch' || kind === 'verify' || kind === 'sync' ? { paused } : {}),
        ...(forceAt === undefined || over ? {} : { forceAt }),
        ...(prefix === undefined ? {} : { prefix }),
        ...(template === undefined ? {} : { template }),
        ...(over ? { endedAt: Date.now() } : {}),
      });
      if (!over) return;
      clearInterval(timer);
      if (cancelled) stopped();
      else done();
    }, TICK);
    return { operation: id };
  }

  #setVersions(
    change: (version: LibraryState['templates'][number]['versions'][number]) => LibraryState['templates'][number]['versions'],
  ): void {
    const templates = this.#library.templates
      .map((template) => ({ ...template, versions: template.versions.flatMap(change) }))
      .filter((template) => template.versions.length > 0);
    const all = templates.flatMap((template) => template.versions);
    const sum = (versions: typeof all): number => versions.reduce((bytes, version) => bytes + (version.size ?? 0), 0);
    this.#library = { ...this.#library, templates, size: sum(all), unused: sum(all.filter((version) => version.usedBy.length === 0)) };
    this.#emit({ type: 'library', library: this.#library });
  }

  /** Starts an operation on one library version, whose row shows it while it runs. */
  #onVersion(
    kind: 'fetch' | 'verify' | 'evict',
    fullName: string,
    label: string,
    seconds: number,
    done: () => void,
  ): { operation: string } {
    const idle = (): void => this.#setVersions((version) => [version.fullName === fullName ? { ...version, operation: null } : version]);
    const over = (): void => {
      idle();
      done();
    };
    const started = this.#run(kind, `${label} ${fullName}`, undefined, [`${label} ${fullName}`], seconds, over, idle, fullName);
    this.#setVersions((version) => [version.fullName === fullName ? { ...version, operation: started.operation } : version]);
    return started;
  }

  #evict(chosen: (version: LibraryState['templates'][number]['versions'][number]) => boolean): void {
    this.#setVersions((version) =>
      chosen(version) ? (version.from === null ? [] : [{ ...version, cached: false, size: null, format: null, usedAt: null }]) : [version],
    );
  }

  #power(id: string, names: readonly string[] | undefined, on: boolean): void {
    this.#setPrefix(id, (prefix) => ({
      ...prefix,
      host: { ...prefix.host, status: on ? 'up' : prefix.host.status },
      networks: prefix.networks.map((network) => ({ ...network, status: on ? 'up' : network.status })),
      vms: prefix.vms.map((vm) =>
        names === undefined || names.includes(vm.name)
          ? { ...vm, status: on ? 'running' : 'down', ssh: on ? 'waiting' : 'off', startedAt: on ? Date.now() : null }
          : vm,
      ),
    }));
    if (on)
      setTimeout(
        () =>
          this.#setPrefix(id, (prefix) => ({
            ...prefix,
            vms: prefix.vms.map((vm) => (vm.status === 'running' ? { ...vm, ssh: 'ready' } : vm)),
          })),
        4_000,
      );
  }

  #switch(about: { readonly prefix: string; readonly vms?: readonly string[] | undefined }, from: VmStatus, to: VmStatus): void {
    this.#setPrefix(about.prefix, (prefix) => ({
      ...prefix,
      vms: prefix.vms.map((vm) => (vm.status === from && about.vms?.includes(vm.name) !== false ? { ...vm, status: to } : vm)),
    }));
  }

  #setTerminal(id: string, state: TerminalState | undefined): void {
    if (state === undefined) this.#terminals.delete(id);
    else this.#terminals.set(id, state);
    this.#emit({ type: 'terminals', terminals: [...this.#terminals.values()] });
  }

  #name(id: string): string {
    return this.#prefixes.find((prefix) => prefix.id === id)?.name ?? id;
  }

  #router() {
    const os = implement(contract);
    const { liveListeners, logs } = { liveListeners: this.#listeners, logs: this.#logs };
    const present = (): LiveEvent[] => [
      { type: 'prefixes', prefixes: [...this.#prefixes] },
      { type: 'operations', operations: [...this.#operations] },
      { type: 'machine', machine: MACHINE },
      { type: 'library', library: this.#library },
      { type: 'repos', repos: this.#repos.state },
      { type: 'terminals', terminals: [...this.#terminals.values()] },
    ];
    // Calls that no view uses are missing; the handler answers them with an error.
    return {
      live: os.live.handler(async function* ({ signal }) {
        const queue = present();
        let wake: () => void = () => undefined;
        const listener = (event: LiveEvent): void => {
          queue.push(event);
          wake();
        };
        liveListeners.add(listener);
        signal?.addEventListener('abort', () => wake());
        try {
          while (signal?.aborted !== true) {
            const event = queue.shift();
            if (event !== undefined) yield event;
            else
              await new Promise<void>((resolve) => {
                wake = resolve;
              });
          }
        } finally {
          liveListeners.delete(listener);
        }
      }),
      app: {
        info: os.app.info.handler(() => ({
          version: '0.1.0',
          samples: [
            {
              id: 'two-vms',
              title: 'Two VMs',
              description: 'Two small VMs on one network',
              path: '/usr/share/lago/samples/two-vms/init.yaml',
              name: 'demo',
            },
          ],
          recent: [
            { path: '/home/eva/work/shop/init.json', name: 'shop-cluster', usedAt: Date.now() - 7_200_000 },
            { path: '/home/eva/ost/basic-suite/LagoInitFile', name: 'ovirt-4.0', usedAt: Date.now() - 260_000_000 },
          ],
          workdir: SHOP.workdir ?? '',
          open: null,
        })),
        leave: os.app.leave.handler(({ input }) => ({ left: input.choice !== 'stay' })),
      },
      initFile: {
        inspect: os.initFile.inspect.handler(({ input }) => {
          if (input.path.includes('missing'))
            throw new ORPCError('NOT_FOUND', {
              data: { code: 'input.missing-file', message: `${input.path} does not exist.`, hint: 'Choose another file.', details: {} },
            });
          return inspection(input.path, this.#scenario === 'errors');
        }),
        // The demo's files never change.
        changes: os.initFile.changes.handler(async function* ({ signal }) {
          yield {};
          await new Promise<void>((resolve) => signal?.addEventListener('abort', () => resolve()));
        }),
      },
      prefix: {
        create: os.prefix.create.handler(({ input }) => {
          const id = 'd'.repeat(32);
          const steps = [
            'Check the plan',
            'Lease subnets',
            'Download default:el9-base:v1',
            'Make disks',
            'Write the environment',
            ...(input.start ? ['Start the host', 'Start networks', 'Start VMs'] : []),
          ];
          return this.#run('create', `Create ${input.name}`, id, steps, 8, () => {
            this.#prefixes = [
              ...this.#prefixes,
              {
                ...SHOP,
                id,
                name: input.name,
                path: `${input.workdir}/${input.name}`,
                workdir: input.workdir,
                vms: SHOP.vms.slice(0, 2),
                networks: SHOP.networks.slice(0, 2),
                snapshots: [],
              },
            ];
            this.#power(id, undefined, input.start);
          });
        }),
        fork: os.prefix.fork.handler(({ input: { prefix: from, name, snapshot, count } }) => {
          const steps = ['Prepare disks', ...SHOP.vms.map((vm) => `Restore VM ${vm.name}`)];
          return this.#run('fork', `Fork ${this.#name(from)} as ${name}`, from, steps, 3, () => {
            const made = demoForks(this.#prefixes.find(({ id }) => id === from) ?? SHOP, name, snapshot, count);
            this.#prefixes = [...this.#prefixes, ...made];
            for (const prefix of made) this.#emit({ type: 'prefix', prefix });
          });
        }),
        export: os.prefix.export.handler(({ input }) => {
          const steps = ['Look at disks', 'Export disks', 'Write the init file'];
          return this.#run('export', 'Export', input.prefix, steps, 4, () => undefined);
        }),
        exportSnapshot: os.prefix.exportSnapshot.handler(({ input }) =>
          this.#run(
            'export',
            `Export snapshot “${input.snapshot}”`,
            input.prefix,
            ['Copy disks and memory', 'Write manifest'],
            4,
            () => undefined,
          ),
        ),
        exportedSnapshot: os.prefix.exportedSnapshot.handler(() => ({ exported: null })),
        resumeExported: os.prefix.resumeExported.handler(({ input }) =>
          this.#run('create', `Resume ${input.name}`, SHOP.id, ['Check the exported snapshot', 'Restore VMs'], 4, () => undefined),
        ),
        start: os.prefix.start.handler(({ input }) =>
          this.#run('start', `Start ${this.#name(input.prefix)}`, input.prefix, ['Start the host', 'Start networks', 'Start VMs'], 3, () =>
            this.#power(input.prefix, input.vms, true),
          ),
        ),
        stop: os.prefix.stop.handler(({ input }) =>
          this.#run('stop', `Stop ${this.#name(input.prefix)}`, input.prefix, ['Shut VMs down', 'Stop networks'], 2, () =>
            this.#power(input.prefix, input.vms, false),
          ),
        ),
        shutdown: os.prefix.shutdown.handler(({ input }) => {
          const { forceAfter } = input;
          const steps = ['Shut down vms', 'Stop nets'];
          const done = (): void => this.#power(input.prefix, input.vms, false);
          const run = this.#run('shutdown', `Shut down ${this.#name(input.prefix)}`, input.prefix, steps, 12, done);
          if (forceAfter !== undefined) this.#forceAt.set(run.operation, Date.now() + forceAfter * 1000);
          return run;
        }),
        reboot: os.prefix.reboot.handler(({ input }) =>
          this.#run('reboot', `Reboot ${this.#name(input.prefix)}`, input.prefix, ['Reboot vms'], 2, () =>
            this.#power(input.prefix, input.vms, true),
          ),
        ),
        reset: os.prefix.reset.handler(({ input }) =>
          this.#run('reset', `Reset ${this.#name(input.prefix)}`, input.prefix, ['Reset vms'], 1, () =>
            this.#power(input.prefix, input.vms, true),
          ),
        ),
        suspend: os.prefix.suspend.handler(({ input }) =>
          this.#run('suspend', `Suspend ${this.#name(input.prefix)}`, input.prefix, ['Suspend VMs'], 1, () =>
            this.#switch(input, 'running', 'paused'),
          ),
        ),
        resume: os.prefix.resume.handler(({ input }) =>
          this.#run('resume', `Resume ${this.#name(input.prefix)}`, input.prefix, ['Resume VMs'], 1, () =>
            this.#switch(input, 'paused', 'running'),
          ),
        ),
        deploy: os.prefix.deploy.handler(({ input }) =>
          this.#run(
            'deploy',
            `Deploy ${this.#name(input.prefix)}`,
            input.prefix,
            ['Wait for ssh connectivity', 'Run scripts'],
            6,
            () => this.#setPrefix(input.prefix, (prefix) => ({ ...prefix, deploy: deployed(prefix.deploy, input, 'ok') })),
            () => this.#setPrefix(input.prefix, (prefix) => ({ ...prefix, deploy: deployed(prefix.deploy, input, 'cancelled') })),
          ),
        ),
        deployOutput: os.prefix.deployOutput.handler(async function* ({ input, signal }) {
          yield* demoOutput(input.vm, input.script, signal);
        }),
        destroy: os.prefix.destroy.handler(({ input }) =>
          this.#run(
            'destroy',
            `Destroy ${this.#name(input.prefix)}`,
            input.prefix,
            ['Stop VMs', 'Release subnets', 'Remove files'],
            2,
            () => {
              this.#prefixes = this.#prefixes.filter((prefix) => prefix.id !== input.prefix);
              this.#emit({ type: 'prefix-gone', id: input.prefix });
            },
          ),
        ),
        collect: os.prefix.collect.handler(({ input }) =>
          this.#run('collect', `Collect artifacts of ${this.#name(input.prefix)}`, input.prefix, ['web', 'db'], 2, () => undefined),
        ),
        open: os.prefix.open.handler(() => ({ prefixes: [SHOP.id] })),
        numbers: os.prefix.numbers.handler(({ input, signal }) =>
          demoNumbers(() => this.#prefixes.find(({ id }) => id === input.prefix)?.vms ?? [], signal),
        ),
        forget: os.prefix.forget.handler(() => {
          throw new ORPCError('CONFLICT', {
            data: {
              code: 'conflict.locked',
              message: 'ovirt-4.0 is locked by process 4711 (lago stop).',
              hint: 'Wait until it is done.',
              details: { pid: 4711, lock: '/home/eva/ost/lock' },
            },
          });
        }),
      },
      snapshot: snapshotHandlers(os.snapshot, {
        prefix: (id) => this.#prefixes.find((prefix) => prefix.id === id),
        setPrefix: (id, change) => this.#setPrefix(id, change),
        run: (kind, label, prefix, steps, seconds, done) => this.#run(kind, label, prefix, steps, seconds, done),
      }),
      forward: {
        open: os.forward.open.handler(({ input: { prefix, vm, port } }) => {
          const localPort = 8000 + this.#forwards.length;
          this.#setForwards([...this.#forwards, { id: `forward${this.#next++}`, prefix, vm, port, localPort }]);
          return { localPort };
        }),
        close: os.forward.close.handler(({ input }) => {
          this.#setForwards(this.#forwards.filter((forward) => forward.id !== input.forward));
          return {};
        }),
      },
      vm: {
        change: os.vm.change.handler(({ input: { prefix: id, vm, change } }) => {
          if ('file' in change && change.file?.includes('missing') === true) {
            const hint = 'Choose another file.';
            throw new ORPCError('NOT_FOUND', {
              data: { code: 'input.missing-file', message: `${change.file} does not exist.`, hint, details: {} },
            });
          }
          return this.#run('vm', changeLabel(vm, change), id, ['Write the definition', 'Change the running VM'], 0.5, () =>
            this.#setPrefix(id, (prefix) => ({
              ...prefix,
              vms: prefix.vms.map((one) => (one.name === vm ? changedVm(prefix, one, change) : one)),
            })),
          );
        }),
        copyTo: os.vm.copyTo.handler(({ input }) =>
          this.#run('copy', `Copy ${input.local} to ${input.vm}`, input.prefix, [`Copy to ${input.vm}`], 2, () => undefined),
        ),
        copyFrom: os.vm.copyFrom.handler(({ input }) =>
          this.#run('copy', `Copy ${input.remote} from ${input.vm}`, input.prefix, [`Copy from ${input.vm}`], 2, () => undefined),
        ),
      },
      repos: {
        ...this.#repos.handlers(os.repos),
        ...packageHandlers(os.repos, {
          setPackages: (id, packages) => this.#setPrefix(id, (prefix) => ({ ...prefix, packages })),
          run: (id, done) => this.#run('merge', `Merge packages`, id, ['Merge packages'], 2, done),
        }),
      },
      collection: collectionHandlers(os.collection, (label) => this.#run('copy', label, SHOP.id, ['Save'], 2, () => undefined)),
      terminal: {
        open: os.terminal.open.handler(({ input }) => {
          const stream = `stream${this.#next++}`;
          this.#streams.set(stream, { vm: input.vm, kind: input.kind, session: input.session });
          const { session: id, prefix, vm, kind } = input;
          if (kind !== 'screen') this.#setTerminal(id, { id, prefix, vm, kind, status: 'connected' });
          return { stream };
        }),
        close: os.terminal.close.handler(({ input }) => {
          this.#setTerminal(input.session, undefined);
          return {};
        }),
        resize: os.terminal.resize.handler(() => ({})),
      },
      operation: {
        cancel: os.operation.cancel.handler(({ input }) => {
          this.#cancelled.add(input.operation);
          return {};
        }),
        pause: os.operation.pause.handler(({ input }) => {
          this.#paused.add(input.operation);
          return {};
        }),
        resume: os.operation.resume.handler(({ input }) => {
          this.#paused.delete(input.operation);
          return {};
        }),
        hurry: os.operation.hurry.handler(({ input }) => {
          this.#forceAt.set(input.operation, Date.now());
          return {};
        }),
        log: os.operation.log.handler(async function* ({ input }) {
          await Promise.resolve();
          yield [...(logs.get(input.operation) ?? [])];
        }),
        dismiss: os.operation.dismiss.handler(({ input }) => {
          this.#operations = this.#operations.filter((operation) => operation.id !== input.operation);
          this.#emit({ type: 'operation-gone', id: input.operation });
          return {};
        }),
      },
      library: {
        fetch: os.library.fetch.handler(({ input: { template } }) =>
          this.#onVersion('fetch', template, 'Download template', 12, () =>
            this.#setVersions((version) => {
              const made = {
                ...version,
                moving: false,
                cached: true,
                format: 'qcow2' as const,
                size: 420 * 1024 ** 2,
                virtualSize: 5 * 1024 ** 3,
                usedAt: Date.now(),
              };
              if (version.fullName !== template) return [version];
              return version.moving
                ? [version, { ...made, version: '20261115-0300', fullName: template.replace(/[^:]*$/, '20261115-0300') }]
                : [made];
            }),
          ),
        ),
        verify: os.library.verify.handler(({ input: { template } }) =>
          this.#onVersion('verify', template, 'Verify template', 4, () => undefined),
        ),
        evict: os.library.evict.handler(({ input: { template } }) =>
          this.#onVersion('evict', template, 'Evict template', 1, () => this.#evict((version) => version.fullName === template)),
        ),
        evictUnused: os.library.evictUnused.handler(({ input }) =>
          this.#run('evict', 'Evict unused templates', undefined, ['Evict unused templates'], 1, () =>
            this.#evict(
              (version) =>
                version.cached && version.usedBy.length === 0 && (version.usedAt ?? 0) <= Date.now() - input.olderThanDays * 86_400_000,
            ),
          ),
        ),
        addRepository: os.library.addRepository.handler(({ input }) =>
          this.#run('repository', `Add template repository ${input.url}`, undefined, ['Clone', 'Read'], 3, () => {
            const name =
              input.url
                .replace(/\.git$/, '')
                .split('/')
                .at(-1) ?? 'added';
            const added = {
              name,
              location: `${this.#library.repositoriesDir}/${name}/repo.json`,
              kind: 'added' as const,
              problem: null,
              templates: 0,
            };
            this.#library = { ...this.#library, repositories: [...this.#library.repositories, added] };
            this.#emit({ type: 'library', library: this.#library });
          }),
        ),
        updateRepositories: os.library.updateRepositories.handler(() =>
          this.#run('repository', 'Update template repositories', undefined, ['Update office-templates'], 2, () => undefined),
        ),
      },
      machine: {
        check: os.machine.check.handler(async () => {
          await new Promise((resolve) => setTimeout(resolve, 600));
          this.#emit({ type: 'machine', machine: MACHINE });
          return {};
        }),
      },
    };
  }

  /** A shell that knows its prompt, `ls`, `exit` and `reboot`; VNC screens stay black. */
  #serve(stream: string, port: MessagePort): void {
    const target = this.#streams.get(stream);
    const encoder = new TextEncoder();
    const decoder = new TextDecoder();
    const prompt = `\x1b[32mroot@${target?.vm ?? 'vm'}\x1b[0m:\x1b[34m~\x1b[0m# `;
    let session = this.#terminals.get(target?.session ?? '');
    let line = '';
    const channel = openByteChannel(
      {
        post: (message) => port.postMessage(message),
        onMessage: (listener) => {
          port.onmessage = (event: MessageEvent<unknown>) => listener(event.data);
        },
        onClose: (listener) => port.addEventListener('close', listener),
        close: () => port.close(),
      },
      {
        onData: (bytes, taken) => {
          taken();
          for (const letter of decoder.decode(bytes)) {
            if (session?.status === 'ended') {
              if (letter !== '\r') continue;
              session = { ...session, status: 'connected' };
              this.#setTerminal(session.id, session);
              channel.write(encoder.encode(prompt));
              continue;
            }
            if (letter !== '\r') {
              line = letter === '\x7f' ? line.slice(0, -1) : line + letter;
              channel.write(encoder.encode(letter === '\x7f' ? '\b \b' : letter));
              continue;
            }
            const command = line.trim();
            line = '';
            if (command === 'exit' && session !== undefined) {
              session = { ...session, status: 'ended' };
              this.#setTerminal(session.id, session);
              channel.write(encoder.encode('\r\n\x1b[2m— session ended; press Enter to connect again —\x1b[0m\r\n'));
            } else if (command === 'reboot') {
              channel.write(encoder.encode(`\r\n\x1b[2m— The guest closed the connection; connecting again —\x1b[0m\r\n${prompt}`));
            } else
              channel.write(
                encoder.encode(
                  `\r\n${command === 'ls' ? '\x1b[34manaconda\x1b[0m  setup.sh  \x1b[31mbackup.tar\x1b[0m\r\n' : command === '' ? '' : `-bash: ${command}: command not found\r\n`}${prompt}`,
                ),
              );
          }
        },
        onEnd: () => undefined,
      },
    );
    if (target?.kind === 'ssh') channel.write(encoder.encode(`Last login: Sun Nov 22 11:20:04 2026 from 192.168.200.1\r\n${prompt}`));
    if (target?.kind === 'serial')
      channel.write(encoder.encode(`\r\nCentOS Stream 9\r\nKernel 5.14.0-525.el9.x86_64 on an x86_64\r\n\r\n${target.vm} login: `));
  }
}
