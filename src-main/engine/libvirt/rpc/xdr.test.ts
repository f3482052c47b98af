import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EngineError } from '../../../../src-shared/errors.ts';
import { domainRef, notices, procedures, remoteError } from './protocol.ts';
import { type FrameHeader, FrameReader, rawBytes, TYPE_REPLY, writeFrame } from './wire.ts';
import { type Codec, hyper, int, list, optional, string, struct, uint, uuid, XdrReader, XdrWriter } from './xdr.ts';

function encode<T>(codec: Codec<T>, value: T): Buffer {
  const writer = new XdrWriter();
  codec.encode(writer, value);
  return writer.take();
}

function decode<T>(codec: Codec<T>, bytes: Uint8Array): T {
  const reader = new XdrReader(Buffer.from(bytes));
  const value = codec.decode(reader);
  reader.finish();
  return value;
}

/** Either a value or the one error that decoders may throw; anything else fails the test. */
function outcome(work: () => unknown): 'value' | 'refused' {
  try {
    work();
    return 'value';
  } catch (error) {
    if (error instanceof EngineError && error.code === 'hypervisor.failed') return 'refused';
    throw error;
  }
}

const header: FrameHeader = { program: 0x20008086, version: 1, procedure: 23, type: TYPE_REPLY, serial: 7, status: 0 };

function frame(payload: Uint8Array): Buffer {
  const writer = new XdrWriter();
  writeFrame(writer, header, rawBytes, payload);
  return writer.take();
}

describe('xdr', () => {
  it('lays values out as libvirt does', () => {
    expect(encode(string, 'vm0').toString('hex')).toBe('00000003766d3000');
    expect(encode(string, '').toString('hex')).toBe('00000000');
    expect(encode(optional(string), undefined).toString('hex')).toBe('00000000');
    expect(encode(optional(string), 'a').toString('hex')).toBe('000000010000000161000000');
    expect(encode(int, -1).toString('hex')).toBe('ffffffff');
    expect(encode(hyper, -2).toString('hex')).toBe('fffffffffffffffe');
    expect(encode(list(uint, 3), [1, 2]).toString('hex')).toBe('000000020000000100000002');
    expect(encode(uuid, '6695eb01-f6a4-8304-79aa-97f2502e193f').toString('hex')).toBe('6695eb01f6a4830479aa97f2502e193f');
  });

  it('reads back what it wrote', () => {
    const record = struct({ a: int, b: optional(string), c: list(struct({ d: hyper, e: uuid }), 10) });
    fc.assert(
      fc.property(
        fc.record({
          a: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
          b: fc.option(fc.string({ unit: 'grapheme' }), { nil: undefined }),
          c: fc.array(fc.record({ d: fc.maxSafeInteger(), e: fc.uuid() }), { maxLength: 10 }),
        }),
        (value) => {
          expect(decode(record, encode(record, value))).toEqual(value);
        },
      ),
    );
  });

  it('reads back texts and lists larger than its first buffer', () => {
    const long = 'é'.repeat(300_000);
    expect(decode(list(string, 2), encode(list(string, 2), [long, 'x']))).toEqual([long, 'x']);
  });

  it.each([
    ['a text that is shorter than it says', string, '00000009766d3000'],
    ['a text longer than allowed', string, 'ffffffff766d3000'],
    ['a list longer than allowed', list(uint, 1), '000000020000000100000002'],
    ['a list of more items than there are bytes', list(uint, 16384), '00003fff00000001'],
    ['a pointer that is neither there nor not', optional(int), '0000000200000001'],
    ['a number that no double holds', hyper, '7fffffffffffffff'],
    ['bytes left over', int, '0000000000000000'],
    ['a missing number', int, '0000'],
  ])('refuses %s', (_, codec: Codec<unknown>, hex) => {
    expect(outcome(() => decode(codec, Buffer.from(hex, 'hex')))).toBe('refused');
  });

  it('refuses to send what libvirt would not take', () => {
    expect(() => encode(string, 'x'.repeat(4 * 1024 * 1024 + 1))).toThrow(/too long/);
    expect(() => encode(list(int, 1), [1, 2])).toThrow(/too long/);
    expect(() => encode(uuid, 'zz')).toThrow(/not a uuid/);
  });

  it('decodes any bytes as any answer or refuses them, never reading beyond the end', () => {
    const codecs = [
      ...Object.values(procedures).map((one) => one.result),
      ...Object.values(notices).map((one) => one.body),
      remoteError,
    ] as Codec<unknown>[];
    fc.assert(
      fc.property(fc.constantFrom(...codecs), fc.uint8Array({ maxLength: 400 }), (codec, bytes) => {
        outcome(() => decode(codec, bytes));
      }),
      { numRuns: 5000 },
    );
  });

  it('refuses every truncation of an answer', () => {
    const whole = encode(domainRef, { name: 'vm0', uuid: '6695eb01-f6a4-8304-79aa-97f2502e193f', id: 4 });
    for (let length = 0; length < whole.length; length++) {
      expect(outcome(() => decode(domainRef, whole.subarray(0, length)))).toBe('refused');
    }
  });
});

describe('frames', () => {
  it('arrive the same however the bytes are cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 60 }), { minLength: 1, maxLength: 6 }),
        fc.array(fc.nat({ max: 500 })),
        (payloads, cuts) => {
          const bytes = Buffer.concat(payloads.map((payload) => frame(payload)));
          const edges = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)), bytes.length].sort((a, b) => a - b);
          const reader = new FrameReader();
          const seen: Buffer[] = [];
          for (let i = 1; i < edges.length; i++) {
            const chunk = Buffer.concat([bytes.subarray(edges[i - 1], edges[i]), Buffer.from('not of it')]);
            reader.push(chunk, chunk.length - 9, (got, payload) => {
              expect(got).toEqual(header);
              seen.push(payload.rest());
            });
          }
          expect(seen).toEqual(payloads.map((payload) => Buffer.from(payload)));
          expect(reader.pending).toBe(0);
        },
      ),
    );
  });

  it('are refused when shorter than a header or longer than libvirt allows', () => {
    for (const length of [0, 27, 32 * 1024 * 1024 + 5, 0xffffffff]) {
      const bytes = Buffer.alloc(28);
      bytes.writeUInt32BE(length, 0);
      expect(outcome(() => new FrameReader().push(bytes, bytes.length, () => undefined))).toBe('refused');
    }
  });

  it('buffer only what has arrived of a message announced as huge', () => {
    const reader = new FrameReader();
    const start = Buffer.alloc(28);
    start.writeUInt32BE(32 * 1024 * 1024, 0);
    reader.push(start, start.length, () => undefined);
    expect(reader.pending).toBe(28);
  });

  it('of random bytes are read or refused, without buffering more than was given', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 8 }), (chunks) => {
        const reader = new FrameReader();
        let given = 0;
        outcome(() => {
          for (const chunk of chunks) {
            given += chunk.length;
            reader.push(Buffer.from(chunk), chunk.length, () => undefined);
          }
        });
        expect(reader.pending).toBeLessThanOrEqual(given);
      }),
      { numRuns: 2000 },
    );
  });

  it('leave the writer as it was when a value cannot be written', () => {
    const writer = new XdrWriter();
    writeFrame(writer, header, string, 'good');
    const size = writer.size;
    expect(() => writeFrame(writer, header, uuid, 'bad')).toThrow(EngineError);
    expect(writer.size).toBe(size);
  });
});
