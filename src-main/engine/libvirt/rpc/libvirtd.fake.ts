import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { drop, silentLog } from '../../core/log.ts';
import {
  KEEPALIVE_PING,
  KEEPALIVE_PONG,
  KEEPALIVE_PROGRAM,
  type Notice,
  PROTOCOL_VERSION,
  type Procedure,
  procedures,
  type RemoteError,
  remoteError,
} from './protocol.ts';
import { FrameReader, rawBytes, STATUS_ERROR, STATUS_OK, TYPE_CALL, TYPE_MESSAGE, TYPE_REPLY, TYPE_STREAM, writeFrame } from './wire.ts';
import { type Codec, nothing, XdrReader, XdrWriter } from './xdr.ts';

/** libvirtd stops reading while it works on this many calls of a connection. */
const MAX_CLIENT_REQUESTS = 5;

type ProcedureName = keyof typeof procedures;
type Table = typeof procedures;
type ResultOf<K extends ProcedureName> = Table[K] extends Procedure<unknown, infer R> ? R : never;
type ArgsOf<K extends ProcedureName> = Table[K] extends Procedure<infer A, unknown> ? A : never;

/** Replies of the fake daemon; a thrown `FakeLibvirtError` becomes an error reply. */
export type Handlers = {
  readonly [K in ProcedureName]?: (args: ArgsOf<K>, client: FakeClient, serial: number) => ResultOf<K> | Promise<ResultOf<K>>;
};

export class FakeLibvirtError extends Error {
  readonly code: number;
  constructor(code: number, message = 'no') {
    super(message);
    this.code = code;
  }
}

export interface ReceivedCall {
  readonly name: ProcedureName;
  readonly number: number;
  readonly serial: number;
  readonly args: unknown;
}

/** One connection as the daemon sees it. */
export interface FakeClient {
  readonly socket: Socket;
  readonly calls: readonly ReceivedCall[];
  /** Calls in progress, now and at most. */
  readonly working: number;
  readonly mostWorking: number;
  readonly pongs: number;
  readonly pings: number;
  /** All stream packets received. */
  readonly streamPackets: readonly { readonly status: number; readonly bytes: Buffer }[];
  ping(): void;
  notify<T>(notice: Notice<T>, value: T): void;
  stream(name: ProcedureName, serial: number, status: number, bytes: Uint8Array): boolean;
  /** Ends a stream with libvirt's error `code`. */
  breakStream(name: ProcedureName, serial: number, code: number, message: string): void;
  send(type: number, procedure: number, serial: number, status: number, bytes: Uint8Array): void;
}

/** A libvirt daemon for tests, using the client's codecs; answers pings and, like libvirtd, works on five calls at a time. */
export interface FakeLibvirtd {
  readonly uri: string;
  readonly path: string;
  readonly clients: readonly FakeClient[];
  /** All calls of all connections. */
  calls(): readonly ReceivedCall[];
  /** Whether it answers pings; false simulates a stopped daemon. */
  answersPings: boolean;
  /** Ends all connections and listens no more, until `resume`. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  stop(): Promise<void>;
}

const UUID = '00000000-0000-4000-8000-000000000001';

/** Enough to connect and to know one domain. */
export const DEFAULT_HANDLERS: Handlers = {
  authList: () => ({ types: [0] }),
  connectOpen: () => undefined,
  connectDomainEventRegister: () => ({ callback: 1 }),
  connectNetworkEventRegister: () => ({ callback: 2 }),
  domainLookupByName: ({ name }) => ({ domain: { name, uuid: UUID, id: -1 } }),
  domainGetState: () => ({ state: 5, reason: 0 }),
  domainIsPersistent: () => ({ persistent: 1 }),
};

const NAMES = new Map(
  (Object.keys(procedures) as ProcedureName[]).map((name) => [`${procedures[name].program}:${procedures[name].number}`, name]),
);

function remoteErrorOf(error: unknown): RemoteError {
  const message = error instanceof Error ? error.message : String(error);
  const code = error instanceof FakeLibvirtError ? error.code : 1;
  return {
    code,
    domain: 10,
    message,
    level: 2,
    unusedDomain: undefined,
    text1: undefined,
    text2: undefined,
    text3: undefined,
    number1: -1,
    number2: -1,
    unusedNetwork: undefined,
  };
}

type Frame = { readonly procedure: number; readonly program: number; readonly serial: number; readonly payload: Buffer };

class Client implements FakeClient {
  readonly socket: Socket;
  readonly calls: ReceivedCall[] = [];
  readonly streamPackets: { status: number; bytes: Buffer }[] = [];
  readonly #handlers: Handlers;
  readonly #daemon: { readonly answersPings: boolean };
  readonly #writer = new XdrWriter();
  readonly #frames = new FrameReader();
  readonly #unread: Frame[] = [];
  working = 0;
  mostWorking = 0;
  pongs = 0;
  pings = 0;

  constructor(socket: Socket, handlers: Handlers, daemon: { readonly answersPings: boolean }) {
    this.socket = socket;
    this.#handlers = handlers;
    this.#daemon = daemon;
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk: Buffer) => {
      this.#frames.push(chunk, chunk.length, (header, payload) => {
        const bytes = payload.rest();
        if (header.type === TYPE_STREAM) this.streamPackets.push({ status: header.status, bytes });
        else if (header.type === TYPE_MESSAGE) this.#onPing(header.procedure);
        else if (header.type === TYPE_CALL) {
          this.#unread.push({ procedure: header.procedure, program: header.program, serial: header.serial, payload: bytes });
        }
      });
      this.#next();
    });
  }

  #onPing(procedure: number): void {
    if (procedure === KEEPALIVE_PONG) this.pongs += 1;
    else this.pings += 1;
    if (procedure === KEEPALIVE_PING && this.#daemon.answersPings) this.#message(KEEPALIVE_PROGRAM, KEEPALIVE_PONG, nothing, undefined);
  }

  #next(): void {
    while (this.working < MAX_CLIENT_REQUESTS) {
      const frame = this.#unread.shift();
      if (frame === undefined) return;
      this.working += 1;
      this.mostWorking = Math.max(this.mostWorking, this.working);
      drop(this.#work(frame), silentLog, 'answering');
    }
  }

  async #work(frame: Frame): Promise<void> {
    const name = NAMES.get(`${frame.program}:${frame.procedure}`);
    if (name === undefined) {
      this.socket.destroy(new Error(`The client called procedure ${frame.procedure}, which is not in the table.`));
      return;
    }
    const procedure = procedures[name] as Procedure<unknown, unknown>;
    const args = procedure.args.decode(new XdrReader(frame.payload));
    this.calls.push({ name, number: frame.procedure, serial: frame.serial, args });
    try {
      const handler = this.#handlers[name] as ((args: unknown, client: FakeClient, serial: number) => unknown) | undefined;
      if (handler === undefined) throw new FakeLibvirtError(3, `this function is not supported: ${name}`);
      const result = await handler(args, this, frame.serial);
      this.#frame(frame.program, frame.procedure, TYPE_REPLY, frame.serial, STATUS_OK, procedure.result, result);
    } catch (error) {
      this.#frame(frame.program, frame.procedure, TYPE_REPLY, frame.serial, STATUS_ERROR, remoteError, remoteErrorOf(error));
    }
    this.working -= 1;
    this.#next();
  }

  #frame<T>(program: number, procedure: number, type: number, serial: number, status: number, codec: Codec<T>, value: T): boolean {
    writeFrame(this.#writer, { program, version: PROTOCOL_VERSION, procedure, type, serial, status }, codec, value);
    const bytes = this.#writer.take();
    return this.socket.destroyed ? false : this.socket.write(bytes);
  }

  #message<T>(program: number, procedure: number, codec: Codec<T>, value: T): void {
    this.#frame(program, procedure, TYPE_MESSAGE, 0, STATUS_OK, codec, value);
  }

  ping(): void {
    this.#message(KEEPALIVE_PROGRAM, KEEPALIVE_PING, nothing, undefined);
  }

  notify<T>(notice: Notice<T>, value: T): void {
    this.#message(notice.program, notice.number, notice.body, value);
  }

  stream(name: ProcedureName, serial: number, status: number, bytes: Uint8Array): boolean {
    const { program, number } = procedures[name];
    return this.#frame(program, number, TYPE_STREAM, serial, status, rawBytes, bytes);
  }

  breakStream(name: ProcedureName, serial: number, code: number, message: string): void {
    const { program, number } = procedures[name];
    this.#frame(program, number, TYPE_STREAM, serial, STATUS_ERROR, remoteError, remoteErrorOf(new FakeLibvirtError(code, message)));
  }

  send(type: number, procedure: number, serial: number, status: number, bytes: Uint8Array): void {
    this.#frame(procedures.connectOpen.program, procedure, type, serial, status, rawBytes, bytes);
  }
}

/** Listens on a socket in a directory of its own. */
export async function startFakeLibvirtd(handlers: Handlers = {}): Promise<FakeLibvirtd> {
  const dir = await mkdtemp(join(tmpdir(), 'lago-fake-libvirtd-'));
  const path = join(dir, 'sock');
  const clients: Client[] = [];
  const all = { ...DEFAULT_HANDLERS, ...handlers };
  const daemon = {
    uri: `qemu:///system?socket=${path}`,
    path,
    clients,
    answersPings: true,
    calls: (): readonly ReceivedCall[] => clients.flatMap((client) => client.calls),
    async pause(): Promise<void> {
      for (const client of clients) client.socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
    async resume(): Promise<void> {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(path, resolve);
      });
    },
    async stop(): Promise<void> {
      await daemon.pause();
      await rm(dir, { recursive: true, force: true });
    },
  };
  const server = createServer((socket) => clients.push(new Client(socket, all, daemon)));
  await daemon.resume();
  return daemon;
}
